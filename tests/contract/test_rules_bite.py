"""Each rule of the contract, against a method that breaks it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark import registry as registry_module
from benchmark.checks import RULES, Bench, run_rule
from benchmark.registry import registry

INFO = """
from benchmark.api import MethodInfo, register
INFO = register(MethodInfo(name="broken", title="Broken", summary="Breaks one rule.",
    model="model:Broken", tasks=("dx3",), tracks=("clinical",), contact="a@b.org"))
"""
MODEL = """
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from benchmark.api import Prediction, SklearnMethod, tabular_preprocessor

class Broken(SklearnMethod):
    def estimator(self, task):
        forest = RandomForestClassifier(5)
        return make_pipeline(tabular_preprocessor(), forest)
"""
BEHAVIOUR = {
    "answers": """
    def predict(self, samples, tasks):
        return {t.name: Prediction(probabilities=np.ones((len(samples), 3))) for t in tasks}
""",
    "labels": """
    def predict(self, samples, tasks):
        samples.labels(tasks[0].name)
        return super().predict(samples, tasks)
""",
    "seed": """
    def predict(self, samples, tasks):
        p = np.random.default_rng(id(self)).dirichlet(np.ones(3))
        return {t.name: Prediction(probabilities=np.tile(p, (len(samples), 1))) for t in tasks}
""",
    "order": """
    def predict(self, samples, tasks):
        p = np.linspace(0, 1, len(samples))
        return {t.name: Prediction(probabilities=np.c_[p, 1 - p, 0 * p]) for t in tasks}
""",
    "others": """
    def features(self, samples):
        frame = samples.frame()[["age_years", "faq_total"]]
        return (frame - frame.mean()) / frame.std().fillna(1)
""",
    "saved": """
    shift = 0.0
    def fit(self, train, val, tasks, run):
        super().fit(train, val, tasks, run)
        self.shift = 0.5
    def save(self, folder):
        shift, self.shift = self.shift, 0.0
        super().save(folder)
        self.shift = shift
    def predict(self, samples, tasks):
        answers = super().predict(samples, tasks)
        return {name: Prediction(probabilities=(1 - self.shift) * a.probabilities + self.shift / 3)
                for name, a in answers.items()}
""",
    "boundary": """
    def predict(self, samples, tasks):
        known, self.people = getattr(self, "people", samples), samples
        p = np.tile([1.0, 0, 0] if known is samples else [0, 1.0, 0], (len(samples), 1))
        return {t.name: Prediction(probabilities=p) for t in tasks}
""",
    "unfitted": """
    def predict(self, samples, tasks):
        p = np.tile([0.2, 0.3, 0.5], (len(samples), 1))
        return {t.name: Prediction(probabilities=p) for t in tasks}
""",
    "shows": """
    def expose(self, samples):
        return {"gate": np.arange(len(samples))}
""",
    "run": """
    def fit(self, train, val, tasks, run):
        raise RuntimeError("out of order")
""",
}
# Preprocessing that is learned from whoever is predicted.
FITTED_ON_OTHERS = {
    "scaling": """
    def features(self, samples):
        frame = samples.frame()[["age_years", "head_size_mm3"]]
        return (frame - frame.mean()) / frame.std().fillna(1)
""",
    "imputation": """
    def features(self, samples):
        frame = samples.frame()[["age_years"]].where(lambda t: t["age_years"] > 70)
        return frame.fillna(frame.median()).fillna(0)
""",
    "harmonisation": """
    def features(self, samples):
        frame = samples.frame()
        return frame[["age_years"]] - frame.groupby("site_id")[["age_years"]].transform("mean")
""",
    "selection": """
    def features(self, samples):
        frame = samples.frame()[["age_years", "head_size_mm3"]]
        return frame[[frame.var().fillna(0).idxmax()]].set_axis(["selected"], axis=1)
""",
}
CARD = {
    "names": ('"dx3"', '"dx4"', "dx4"),
    "card": ('summary="Breaks one rule."', 'summary=""', "summary"),
    "light": ("from benchmark.api", "import numpy\nfrom benchmark.api", "numpy"),
    "rows": ('contact="a@b.org"', 'contact="a", variants={"broken_b": {"depth": 3}}', "depth"),
}
SUITE = 'suite="disorders", contact="a@b.org"'
CARD_TOO = {
    "unknown-suite": ("names", SUITE.replace("rders", "rder"), "'disorders'"),
    "suite-of-one-task": ("names", SUITE, "multitask=True"),
    "suite-elsewhere": ("names", f"multitask=True, {SUITE}", "none of them in 'tasks'"),
    "variants-suite": ("names", 'contact="a@b", variants={"b": {"suite": "x"}}', "suite 'x'"),
    "weights-of-one-machine": (
        "rows",
        'contact="a@b.org", config=Config',
        "config.pretrained=PATH",
    ),
}
RULE = {rule.name: rule for rule in RULES}


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Enters a method from text, as an installed package would."""

    def _enter(info: str = INFO, model: str = MODEL, space: str = "") -> Bench:
        package = tmp_path / "site" / "rule_breaker"
        package.mkdir(parents=True)
        files = {"__init__.py": "", "info.py": info, "model.py": model, "README.md": "# Broken"}
        files |= {"space.py": space} if space else {}
        for name, text in files.items():
            (package / name).write_text(text)
        meta = tmp_path / "site" / "rule_breaker-1.0.dist-info"
        meta.mkdir()
        (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: rule-breaker\nVersion: 1.0\n")
        (meta / "entry_points.txt").write_text(
            "[neurodx.methods]\nbroken = rule_breaker.info:INFO\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        registry.cache_clear()
        return Bench("broken", tmp_path / "bench")

    yield _enter
    registry.cache_clear()
    registry_module._registered.pop("broken", None)
    for name in [name for name in sys.modules if name.startswith("rule_breaker")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", sorted(BEHAVIOUR))
def test_rule_finds_what_breaks_it(name: str, enter) -> None:
    bench = enter(model=MODEL + BEHAVIOUR[name])
    outcome = run_rule(RULE[name], bench)
    assert not outcome.passed


@pytest.mark.parametrize("what", sorted(FITTED_ON_OTHERS))
def test_a_fit_on_the_people_who_are_predicted_is_found(what: str, enter) -> None:
    info = INFO.replace('"clinical"', '"confound"')
    bench = enter(info=info, model=MODEL + FITTED_ON_OTHERS[what])
    outcome = run_rule(RULE["others"], bench)
    assert "an answer changes with who else is predicted" in outcome.message


def test_the_same_learned_in_fit_is_not_found(enter) -> None:
    info = INFO.replace('"clinical"', '"confound"')
    outcome = run_rule(RULE["others"], enter(info=info, model=MODEL))
    assert outcome.passed, outcome.message


@pytest.mark.parametrize("name", sorted(CARD))
def test_card_rule_names_what_breaks_it(name: str, enter) -> None:
    old, new, named = CARD[name]
    outcome = run_rule(RULE[name], enter(info=INFO.replace(old, new)))
    assert named in outcome.message


@pytest.mark.parametrize("case", sorted(CARD_TOO))
def test_suites_and_weights_are_known(case: str, enter) -> None:
    rule, new, named = CARD_TOO[case]
    info = INFO.replace('contact="a@b.org"', new)
    if case == "suite-elsewhere":
        info = info.replace('tasks=("dx3",)', 'tasks=("impaired",)')
    if "Config" in new:
        info = (
            "from dataclasses import dataclass\n@dataclass\nclass Config:\n"
            f"    pretrained: str = '/nowhere/weights.pt'\n{info}"
        )
    assert named in run_rule(RULE[rule], enter(info=info)).message


SEES_ALL = 'tracks=("all",), copes_with_missing=True'
MISSING = """
    def features(self, samples):
        frame = samples.frame("clinical", "t1w")
        if not samples.has("report").any():
            raise ValueError("nobody has a report")
        return frame
"""


def test_a_method_that_says_it_copes_must_cope(enter) -> None:
    info = INFO.replace('tracks=("clinical",)', SEES_ALL)
    outcome = run_rule(RULE["missing"], enter(info=info, model=MODEL + MISSING))
    assert "without report: ValueError: nobody has a report" in outcome.message
    assert "copes_with_missing=True" in outcome.message


def test_a_method_that_needs_everything_is_not_asked_with_less(enter) -> None:
    outcome = run_rule(RULE["missing"], enter())
    assert outcome.passed
    assert "nothing missing" in outcome.remark


SHOWS_ROWS = """
    def expose(self, samples):
        age = samples.frame()["faq_total"].fillna(0)
        return {"faq": age, "known": samples.has("clinical"), "text": ["x"] * len(samples)}
"""


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ("np.zeros(3)", "one row for each"),
        ("np.full(len(samples), np.nan)", "NaN or infinity"),
        ("np.arange(len(samples))", "do not follow the people"),
        ("[None] * len(samples)", "expected numbers or text"),
    ],
)
def test_what_is_shown_follows_the_people(enter, values: str, named: str) -> None:
    wrong = f"\n    def expose(self, samples):\n        return {{'gate': {values}}}\n"
    assert named in run_rule(RULE["shows"], enter(model=MODEL + wrong)).message


def test_what_is_shown_is_named(enter) -> None:
    outcome = run_rule(RULE["shows"], enter(model=MODEL + SHOWS_ROWS))
    assert outcome.passed, outcome.message
    assert outcome.remark == "faq, known, text"


@pytest.mark.parametrize(
    "values",
    ['{"gate": known} if n else {}', '{"gate": np.stack([known] * (1 + n), axis=1)}'],
)
def test_what_is_shown_is_there_whoever_is(enter, values: str) -> None:
    card = INFO.replace('tracks=("clinical",)', SEES_ALL)
    model = f"""
    def features(self, samples):
        return samples.frame("clinical", "t1w")

    def expose(self, samples):
        known, n = samples.has("report"), int(samples.has("report").any())
        return {values}
"""
    outcome = run_rule(RULE["shows"], enter(info=card, model=MODEL + model))
    assert re.search("without report: expose.* gave 'gate' as .*zeros for", outcome.message)


@pytest.mark.parametrize(
    ("promised", "named"),
    [
        ('Shown("gate", kind="by_class", title="Gate")', "promises 'gate'.*gives faq, known, text"),
        ('Shown("epoch_", kind="embedding", title="Map")', "promises 'epoch_'"),
        (
            'Shown("faq", kind="by_class", title="FAQ", names=("a", "b"))',
            "names 2 columns .* has 1",
        ),
    ],
)
def test_what_the_card_promises_is_shown(enter, promised: str, named: str) -> None:
    card = INFO.replace('contact="a@b.org"', f'contact="a@b.org", exposes=({promised},)')
    card = card.replace("from benchmark.api import ", "from benchmark.api import Shown, ")
    outcome = run_rule(RULE["shows"], enter(info=card, model=MODEL + SHOWS_ROWS))
    assert re.search(named, outcome.message), outcome.message


@pytest.mark.e2e
def test_a_row_of_a_suite_is_fitted_on_several_cohorts(enter, tmp_path: Path) -> None:
    joint = (
        INFO.replace('tasks=("dx3",)', 'tasks=("dx3", "pd_hc"), multitask=True, suite="disorders"')
        .replace('tracks=("clinical",)', SEES_ALL)
        .replace('contact="a@b.org"', 'contact="a@b.org", config=Config')
    )
    scratch = (
        "from dataclasses import dataclass\n@dataclass\nclass Config:\n"
        f"    pretrained: str = 'weights'\n{joint}"
    )
    features = """
    def features(self, samples):
        return samples.frame("clinical", "t1w")
"""
    bench = enter(info=scratch, model=MODEL + features)
    outcome = run_rule(RULE["run"], bench)
    assert outcome.passed, outcome.message + outcome.trace
    (record,) = (tmp_path / "bench" / "runs" / "broken").glob("*/result.json")
    parts = json.loads(record.read_text())["parts"]
    assert parts == [
        {"cohort": "tiny", "tasks": ["dx3"]},
        {"cohort": "tiny-1", "tasks": ["pd_hc"]},
    ]


def test_space_must_suggest_known_settings(enter) -> None:
    space = "def suggest(trial):\n    return {'dpeth': trial.suggest_int('dpeth', 1, 3)}\n"
    assert "dpeth" in run_rule(RULE["space"], enter(space=space)).message


def test_message_says_what_to_do(enter) -> None:
    outcome = run_rule(RULE["labels"], enter(model=MODEL + BEHAVIOUR["labels"]))
    assert "in fit() only" in outcome.message


def test_accident_keeps_the_end_of_its_traceback(enter) -> None:
    outcome = run_rule(RULE["run"], enter(model=MODEL + BEHAVIOUR["run"]))
    assert outcome.message == "RuntimeError: out of order"
    assert "rule_breaker/model.py" in outcome.trace


def test_sound_method_breaks_nothing(enter) -> None:
    bench = enter()
    broken = [run_rule(rule, bench) for rule in RULES]
    assert [outcome.rule for outcome in broken if not outcome.passed] == []
