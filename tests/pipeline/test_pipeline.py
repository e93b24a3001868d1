"""The story of a repository: its real workflows, run by act, against a real registry and real hosts."""

from tests.pipeline.conftest import Environment
from tests.pipeline.github import GitHub


def test_what_is_pushed_is_live(github: GitHub, environments: dict[str, Environment]) -> None:
    repository = github.repository
    repository.write("app/pushed.py", '"""Something new."""\n')
    run = github.push("Something new")
    green = run.wait()
    print(run.summary, run.steps(), run.seconds)
    assert green, run.output
    commit = repository.git("rev-parse", "HEAD")
    for environment in environments.values():
        assert environment.version()["commit"] == commit
