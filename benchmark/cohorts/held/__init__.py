"""Cohorts that a user holds under an agreement of their own: one adapter a file.

An adapter reads the files as a study releases them and answers with a :class:`Reading`: a table of
visits in the store's vocabulary, tables of measurements, and the tasks that the study can answer.
What it reads stays in git-ignored folders.
"""
