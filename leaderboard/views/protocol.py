"""Take part / Protocol: how a number on this board is made, with the facts of this board."""

from __future__ import annotations

import streamlit as st

from leaderboard.board_data import Board

HOW = """
#### What one row is

One method, on one cohort and task, with one set of inputs (its *track*), under one protocol of
folds. A track limits what the method can see: the program that hands out the data holds nothing
else.

#### How it is scored

- Every participant is predicted by a model that was not trained on that participant.
- A row is scored only when all of its folds and seeds are whole. A failed or missing run is
  shown as failed or missing, and is never filled in.
- AUROC counts pairs of participants within a fold only, because models of different folds do
  not share a scale.
- Intervals are 95 %: DeLong on the logit scale for AUROC, a BCa bootstrap over participants
  otherwise. They hold for the fitted models; with three or more seeds the variance between
  seeds is added.

#### How it is ranked

- Methods are compared on the participants that both predicted, with the same bootstrap
  resamples.
- One step-down max-T test over all methods shown decides which pairs are separated, with at
  most a 5 % chance of even one false separation.
- The *rank interval* runs from 1 + the number of methods separated above, to the number of
  methods minus those separated below. A *tie group* is the best method and all that are not
  separated from it; then the same again for the rest.
- Leaving a method out, or choosing other inputs, changes the family of comparisons. Ranks are
  then computed anew; rows are never just hidden.
- Oracle rows (on synthetic cohorts, the best prediction that the inputs allow) are shown and
  never ranked.

#### What a rank does not say

A rank on a synthetic cohort checks methods and machinery. It is no clinical claim.
"""


def show(board: Board) -> None:
    """Shows the page."""
    st.title("Protocol")
    st.markdown(HOW)
    st.subheader("On this board")
    cells = board.rows.drop_duplicates(["cohort", "task", "protocol"])
    columns = ["cohort", "task", "protocol", "metric"]
    st.table(cells[columns].reset_index(drop=True), border="horizontal")
