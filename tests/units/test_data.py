"""By which variables an app finds its data."""

import os
import subprocess

import pytest

from slipway.units.data import Access, Names, assignments, environment, environment_file

LOCAL, REMOTE = Access("app", broker=True), Access("app", "fd00::5", 'p%/ "x\\', broker=True, broker_password="b:b")


def test_on_this_host_by_sockets() -> None:
    assert environment(LOCAL, Names()) == {
        "DATABASE_URL": "postgresql://app@localhost/app?host=/run/postgresql",
        "PGHOST": "/run/postgresql",
        "PGPORT": "5432",
        "PGUSER": "app",
        "PGDATABASE": "app",
        "BROKER_URL": "redis+socket:///run/broker/broker.sock",
    }


def test_on_another_host_with_passwords_that_are_encoded_in_urls_alone() -> None:
    values = environment(REMOTE, Names("postgresql+psycopg", environment={"POSTGRES_PASSWORD": "{password}"}))
    assert values["DATABASE_URL"] == "postgresql+psycopg://app:p%25%2F%20%22x%5C@[fd00::5]:5432/app"
    assert values["PGHOST"] == "fd00::5"
    assert values["PGPASSWORD"] == values["POSTGRES_PASSWORD"] == 'p%/ "x\\'
    assert values["BROKER_URL"].startswith("rediss://app:b%3Ab@[fd00::5]:6379/0?")


def test_other_names_for_each_user() -> None:
    names = Names(
        url="{scheme}://{user}@/{database}?host={socket}",
        environment={
            "POSTGRES_USER": "{user}",
            "SQLALCHEMY_DATABASE_URI": "{database_url}",
            "REDIS_URL": "{redis_url}",
            "CELERY_BROKER_URL": "{broker_url}",
            "BRACES": "{{}}",
        },
    )
    values = environment(Access("app_migrate", broker=True), names)
    assert values["SQLALCHEMY_DATABASE_URI"] == "postgresql://app_migrate@/app?host=/run/postgresql"
    assert (values["POSTGRES_USER"], values["BRACES"]) == ("app_migrate", "{}")
    # Settings that want a URL are read in a migration, too, which may not use the broker.
    assert values["REDIS_URL"] == "unix:///run/broker/broker.sock"
    assert environment(Access("app_migrate", "10.0.0.5", "p", broker=True), names)["REDIS_URL"].startswith(
        "rediss://10.0.0.5:6379/0?"
    )
    assert environment(Access("app_migrate"), names)["CELERY_BROKER_URL"] == ""
    assert environment(LOCAL, names)["REDIS_URL"] == "unix:///run/broker/broker.sock"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            Names(url="postgresql://{usr}@/app"),
            r"app_database_url is .*there is no \{usr\}. There are \{scheme\}, \{user\}",
        ),
        (Names(url="postgresql://{user@/app"), "app_database_url is .*brace"),
        (Names(url="postgresql://{}@/app"), r"there is no \{\}"),
        (Names(environment={"REDIS_URL": "{redis}"}), "app_data_environment, REDIS_URL is .*there is no"),
        (Names(environment={"REDIS-URL": "x"}), "app_data_environment has 'REDIS-URL'.*Rename it"),
        (Names(environment={"X": "{user.__class__}"}), "there is no"),
    ],
)
def test_a_form_that_cannot_be_filled_in(names: Names, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        environment(LOCAL, names)


def test_the_lines_of_a_unit_keep_the_values() -> None:
    lines = assignments({"A": "plain", "B": 'with space "and" \\ more', "C": "50%"})
    assert lines == ["Environment=A=plain", 'Environment="B=with space \\"and\\" \\\\ more"', "Environment=C=50%%"]


def test_the_file_of_a_unit_keeps_the_values() -> None:
    values = {"A": "plain", "B": "with space \"and\" \\ $HOME 'x'", "C": "50%"}
    text = environment_file(values)
    assert text.splitlines()[0] == 'A="plain"'
    # systemd reads what a shell does, but for the dollar, which is no character of a password that we make.
    script = f"{text.replace('$', chr(92) + '$')}\nprintf '%s' \"$B\""
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=dict(os.environ), check=True)
    assert done.stdout == values["B"]
