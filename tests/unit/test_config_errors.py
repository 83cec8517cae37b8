"""A typo fails before data is read, and says what was probably meant."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from benchmark import cli
from benchmark.cli.compose import compose_request
from benchmark.config import (
    Profile,
    default_settings,
    load_profile,
    method_config,
    rebuilt,
    stacked,
    typed,
)
from benchmark.errors import ConfigError, UnknownNameError
from benchmark.registry import get_method
from benchmark.runs.rows import resolve_row

SOUND = {"name": "m", "protocol": "3fold", "phantom": {"spacing_mm": 4.0}}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"protocl": "x"}, "f.yaml: protocl: .*Did you mean 'protocol'"),
        ({"phantom": {"spacing": 4}}, "phantom.spacing: .*Did you mean 'spacing_mm'"),
        ({"plan": {"a": {"fits": []}}}, r"plan.a.fits: .*(Did you mean 'fit'|Known: fit)"),
        ({"seeds": ["a"]}, r"seeds\[0\]: Value 'a' of type 'str' could not be converted"),
        ({"workers": "many"}, "workers: Value 'many'"),
    ],
)
def test_a_wrong_value_names_file_key_and_remedy(values: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        typed(Profile, SOUND | values, "f.yaml")


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"f.yaml: no value for .*protocol"):
        typed(Profile, {"name": "m"}, "f.yaml")


@dataclass
class Inner:
    lr: float = 0.1


@dataclass
class Outer:
    width: int = 8
    trainer: Inner = field(default_factory=Inner)


def test_settings_are_resolved_through_dotted_keys() -> None:
    expected = {"width": 16, "trainer": {"lr": 0.5}}
    assert method_config(Outer, {"width": 16, "trainer.lr": 0.5}, "s") == expected
    assert method_config(None, {}, "s") == {}
    with pytest.raises(ConfigError, match=r"s: trainer.lrr: .*Did you mean 'lr'"):
        method_config(Outer, {"trainer.lrr": 1}, "s")
    with pytest.raises(ConfigError, match="s: has no settings, got width"):
        method_config(None, {"width": 1}, "s")


@dataclass
class Reads:
    encoder: str = "small"
    settings: dict[str, Any] = field(default_factory=lambda: {"width": 8, "depth": 2})


@dataclass
class Reader:
    text: Reads = field(default_factory=Reads)
    pretrained: str = "weights"


def test_another_encoder_does_not_take_over_the_settings_of_the_one_before() -> None:
    def text(settings: dict, base: object | None = None) -> dict:
        return dict(method_config(Reader, settings, "s", base)["text"])

    assert text({"text.settings.width": 4})["settings"] == {"width": 4, "depth": 2}
    assert text({"text.encoder": "small"})["settings"] == {"width": 8, "depth": 2}
    assert text({"text.encoder": "other"}) == {"encoder": "other", "settings": {}}
    other = {"text.encoder": "other", "text.settings.patch": 2}
    assert text(other) == {"encoder": "other", "settings": {"patch": 2}}
    large = Reader(Reads("large", {"width": 768}))
    assert text({"pretrained": ""}, large) == {"encoder": "large", "settings": {"width": 768}}
    assert text(other, large) == {"encoder": "other", "settings": {"patch": 2}}
    profile = {"text.settings": {"depth": 1}, "pretrained": ""}
    known = default_settings(Reader)
    assert known == {
        "text.encoder": "small",
        "text.settings.width": 8,
        "text.settings.depth": 2,
        "pretrained": "weights",
    }
    assert stacked([profile, {"text": {"encoder": "other"}}], known) == {
        "pretrained": "",
        "text.encoder": "other",
    }
    assert stacked([profile, {"text": {"encoder": "small"}}], known) == {
        "text.settings.depth": 1,
        "pretrained": "",
        "text.encoder": "small",
    }
    assert default_settings(None) == {}
    for settings, base in ((other, None), ({"pretrained": ""}, Reader(Reads("small", {"d": 1})))):
        resolved = method_config(Reader, settings, "s", base)
        assert asdict(rebuilt(Reader, resolved, "s")) == resolved, "nothing of the defaults"


def test_a_scale_takes_the_place_of_defaults_and_of_what_the_profile_sets(
    probe_site: Path, tiny_profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = get_method("probe")
    tiny_profile.settings["probe"] = {"shift": 0.1}
    with pytest.raises(UnknownNameError, match="scale of method 'probe'"):
        resolve_row("probe", tiny_profile, scale="paper")
    monkeypatch.setitem(info.scales, "paper", lambda: info.config(shift=0.3))
    row = resolve_row("probe", tiny_profile, scale="paper")
    assert row.config["shift"] == 0.3
    assert resolve_row("probe", tiny_profile, {"shift": 0.7}, scale="paper").config["shift"] == 0.7
    assert resolve_row("probe_shifted", tiny_profile, scale="paper").config["shift"] == 0.5
    assert (resolve_row("probe", tiny_profile).config["shift"], info.config().shift) == (0.1, 0.0)
    assert compose_request(["method=probe", "scale=paper"]).scale == "paper"


def test_a_scale_belongs_to_no_tuned_row_and_no_sweep(
    probe_site: Path, tiny_profile: Profile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "probe_tuned.yaml").write_text("row: probe\nconfig: {shift: 0.9}\n")
    with pytest.raises(ConfigError, match=r"'probe_tuned' were tuned at .*; take 'probe'"):
        resolve_row("probe_tuned", tiny_profile, configs=tmp_path, scale="paper")
    assert cli.main(["sweep", "method=resnet3d", "task=dx3", "scale=paper"]) == 1
    assert "scale=paper: a sweep tunes at the method's own scale" in capsys.readouterr().err


def test_layers_of_settings(probe_site: Path, tiny_profile: Profile, tmp_path: Path) -> None:
    def shift(name: str, overrides: dict | None = None) -> float:
        row = resolve_row(name, tiny_profile, overrides, configs=tmp_path)
        return float(row.config["shift"])

    assert (shift("probe"), shift("probe_shifted")) == (0.0, 0.5)
    tiny_profile.settings["probe"] = {"shift": 0.1}
    assert (shift("probe"), shift("probe_shifted")) == (0.1, 0.5)  # a variant stays what it is
    tiny_profile.settings["probe_shifted"] = {"shift": 0.6}
    assert shift("probe_shifted") == 0.6
    assert shift("probe_shifted", {"shift": 0.7}) == 0.7
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "probe_tuned.yaml").write_text("row: probe\nconfig: {shift: 0.9}\n")
    row = resolve_row("probe_tuned", tiny_profile, configs=tmp_path)
    assert (row.name, row.info.name, row.tuned, row.config["shift"]) == (
        *("probe_tuned", "probe"),
        *(True, 0.9),
    )
    assert row.track == "t1w"
    with pytest.raises(ConfigError, match="'probe' does not declare the track 'fmri'; it declares"):
        resolve_row("probe", tiny_profile, track="fmri")


@pytest.mark.parametrize(
    ("overrides", "error", "said"),
    [
        (["method=chance", "profile=smokee"], UnknownNameError, "profile 'smokee'.*'smoke'"),
        (["methd=chance"], ConfigError, "unknown key 'methd'; did you mean 'method'"),
        (["method=chance", "profile.sed=1"], ConfigError, "'profile.sed'; did you mean 'seeds'"),
        (["chance"], ConfigError, "'chance': expected KEY=VALUE"),
        (["profile=smoke"], ConfigError, "say which method"),
        (["method=chance", "fold=first"], ConfigError, "fold: Value 'first'"),
    ],
)
def test_an_override_is_checked(overrides: list[str], error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        compose_request(overrides)


def test_overrides_reach_their_place() -> None:
    request = compose_request(["method=x", "profile=smoke", "fold=2", "config.trainer.lr=0.5"])
    assert (request.profile.name, request.fold) == ("smoke", 2)
    assert request.config == {"trainer": {"lr": 0.5}}
    with pytest.raises(UnknownNameError, match=r"'smok'.*'smoke'"):
        load_profile("smok")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["runn"], "neurodx runn: unknown verb 'runn'. Did you mean 'run'"),
        (["run", "method=chanse"], "unknown method 'chanse'. Did you mean 'chance'"),
        (["run", "method=chance", "track=t1"], "unknown track 't1'. Did you mean 't1w'"),
        (["run", "method=chance", "task=dx"], "unknown task 'dx'. Did you mean 'dx3'"),
        (["run", "method=chance", "cohort=phantom-memry"], "Did you mean 'phantom-memory'"),
        (["run", "method=voxel_svm", "config.penalti=[1]"], "Did you mean 'penalties'"),
        (
            ["run", "method=chance", "task=dx3"],
            "or `neurodx prepare phantom-memory --profile mini`",
        ),
    ],
)
def test_the_command_line_answers_without_a_traceback(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    answer = capsys.readouterr().err
    assert said in answer
    assert "Traceback" not in answer
    assert not list(tmp_path.iterdir()), "nothing is written before the request is understood"


def test_an_interruption_says_how_to_go_on(monkeypatch, capsys) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.cli.list.run", interrupt)
    assert cli.main(["list", "tasks"]) == 130
    assert "run the same command to continue" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"neurodx-bench {version('neurodx-bench')}\n"
