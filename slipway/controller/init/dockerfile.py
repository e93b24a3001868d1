"""What the stages of a Dockerfile copy and start."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.controller.init.groups import DEVELOPMENT

INSTRUCTION = re.compile(r"^[ \t]*([A-Za-z]+)[ \t]+(.+)$", re.MULTILINE)
ASSIGNED = re.compile(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S+)")
VARIABLE = re.compile(r"\$\{?(\w+)(?::-[^}]*)?\}?")
BARE = re.compile(r"(.*/)?(python|uv|debian|ubuntu|alpine)([:@].*)?")
"""Images that start no server by themselves."""


@dataclass(frozen=True)
class Stage:
    """A stage: its instructions in capitals, each with its arguments."""

    base: str
    name: str
    instructions: tuple[tuple[str, str], ...]

    def workdir(self, start: PurePosixPath) -> PurePosixPath:
        """Return the WORKDIR at the stage's end, from that of the stage that it is built on."""
        for instruction, text in self.instructions:
            start = start / text.strip("\"'") if instruction == "WORKDIR" else start
        return start

    def copied(self, start: PurePosixPath) -> Iterator[tuple[str, list[str], PurePosixPath]]:
        """Yield what COPY and ADD copy: the stage that has it, empty for the context, the sources, the destination."""
        for position, (instruction, text) in enumerate(self.instructions):
            if instruction in {"COPY", "ADD"}:
                words = [word for word in re.split(r"[\s\[\],\"]+", text) if word]
                stage = next((word.partition("=")[2] for word in words if word.startswith("--from=")), "")
                *sources, target = [word for word in words if not word.startswith("--")] or [""]
                here = Stage("", "", self.instructions[:position]).workdir(start)
                yield stage, [source.removeprefix("./").rstrip("/") or "." for source in sources], here / target


@dataclass(frozen=True)
class Instructions:
    """The instructions of a Dockerfile, by stage."""

    stages: tuple[Stage, ...]

    @classmethod
    def parse(cls, text: str) -> "Instructions":
        """Read a Dockerfile, with the values of its ARG and ENV where an instruction names one."""
        outside: dict[str, str] = {}
        values = outside
        by_name: dict[str, dict[str, str]] = {}
        stages: list[Stage] = []
        for match in INSTRUCTION.finditer(re.sub(r"\\\n", " ", text)):
            instruction, rest = match[1].upper(), match[2].strip()
            if instruction in {"ARG", "ENV"}:
                values |= {name: value.strip("\"'") for name, value in ASSIGNED.findall(rest)}
            if instruction in {"FROM", "WORKDIR", "COPY", "ADD"}:
                known = outside if instruction == "FROM" else values
                rest = VARIABLE.sub(lambda found, known=known: known.get(found[1], found[0]), rest)
            if instruction == "FROM":
                base, _, name = re.sub(r"--platform=\S+\s+", "", rest).partition(" ")
                stages.append(Stage(base, re.sub(r"(?i)^\s*as\s+", "", name).strip(), ()))
                values = by_name[stages[-1].name] = dict(by_name.get(base, outside))
            elif stages:
                last = stages[-1]
                stages[-1] = Stage(last.base, last.name, (*last.instructions, (instruction, rest)))
        return cls(tuple(stages))

    def built_on(self, name: str = "") -> list[Stage]:
        """Return a stage, the last one without a name, and those that it is built on."""
        position = next((index for index, stage in enumerate(self.stages) if stage.name == name), None)
        position = len(self.stages) - 1 if not name else position
        if position is None or position < 0:
            return []
        earlier = Instructions(self.stages[:position])
        above = self.stages[position].base
        return [self.stages[position], *(earlier.built_on(above) if above else [])]

    def production(self) -> str:
        """Return the last stage that is not for development, where the last one is; empty otherwise."""
        if not self.stages or not DEVELOPMENT.search(self.stages[-1].name):
            return ""
        others = [stage for stage in self.stages if stage.name and not DEVELOPMENT.search(stage.name)]
        return next((stage.name for stage in reversed(others) if any(self.started(stage.name))), "")

    def starts_nothing(self, target: str = "") -> bool:
        """Tell whether a stage's image has no command, as far as that can be known without the image it is built on."""
        stages = self.built_on(target)
        has_command = any(
            instruction in {"CMD", "ENTRYPOINT"} for stage in stages for instruction, _ in stage.instructions
        )
        return bool(stages) and not has_command and BARE.fullmatch(stages[-1].base) is not None

    def started(self, target: str = "") -> tuple[str, str]:
        """Return the last ENTRYPOINT and CMD of a stage's image, as the Dockerfile has them."""
        written = [each for stage in reversed(self.built_on(target)) for each in stage.instructions]
        named = {instruction: text for instruction, text in written if instruction in {"ENTRYPOINT", "CMD"}}
        return named.get("ENTRYPOINT", ""), named.get("CMD", "")

    def runner(self, target: str = "") -> str:
        """Return what a stage's image starts programs of its virtual environment by: `poetry run`; empty if by name."""
        entrypoint, cmd = self.started(target)
        line = re.sub(r"[\[\]\",]+", " ", f"{entrypoint} {cmd}")
        found = re.search(r"\b(poetry|uv|pdm|pipenv) +run\b", line)
        has_path = any(
            name == "ENV" and re.search(r"\bPATH[= ]\S*(venv|VIRTUAL_ENV)", text)
            for stage in self.built_on(target)
            for name, text in stage.instructions
        )
        if not found or has_path:
            return ""
        # uv would look whether its environment is up to date, and change that.
        return "uv run --no-sync" if found[1] == "uv" else f"{found[1]} run"

    @property
    def migrates(self) -> bool:
        """Tell whether building the image migrates a database."""
        ran = [text for stage in self.stages for instruction, text in stage.instructions if instruction == "RUN"]
        return any(re.search(r"\balembic\b.* upgrade\b|\baerich upgrade\b", text) for text in ran)

    @property
    def healthcheck(self) -> str:
        """The command of HEALTHCHECK; empty without one."""
        commands = (text for stage in self.built_on() for name, text in stage.instructions if name == "HEALTHCHECK")
        return next(commands, "")

    def has(self, path: PurePosixPath, target: str = "") -> bool:
        """Tell whether a stage's image has a file of the context, copied from there or from another stage with it."""
        return any(self._places(path, self.built_on(target)))

    def workdir(self, target: str = "") -> PurePosixPath | None:
        """Return the WORKDIR of a stage's image; None if no stage here names one."""
        *_, (last, start) = [(Stage("", "", ()), PurePosixPath("/")), *_with_workdirs(self.built_on(target))]
        workdir = last.workdir(start)
        return workdir if workdir != PurePosixPath("/") else None

    def is_workdir(self, path: PurePosixPath, target: str = "") -> bool:
        """Tell whether a stage's image starts in what was this folder of the context: `COPY src .`."""
        copied = [each for stage, start in _with_workdirs(self.built_on(target)) for each in stage.copied(start)]
        workdir = PurePosixPath("/")
        for stage, start in _with_workdirs(self.built_on(target)):
            workdir = stage.workdir(start)
        own = [(sources, place) for other, sources, place in copied if not other]
        return ([str(path)], workdir) in own and not any("." in sources for sources, _ in own)

    def _places(self, path: PurePosixPath, stages: list[Stage]) -> Iterator[PurePosixPath]:
        """Yield the folders of an image into which a file or a folder with it is copied."""
        accepted = {str(path), "*", *(str(above) for above in path.parents), *(f"{above}/*" for above in path.parents)}
        for stage, start in _with_workdirs(stages):
            for other, sources, target in stage.copied(start):
                if not other:
                    has_it = not accepted.isdisjoint(sources)
                else:  # the folder itself or one above it, not the virtual environment in it
                    folders = [PurePosixPath("/", source) for source in sources]
                    places = self._places(path, self.built_on(other))
                    has_it = any(place.is_relative_to(folder) for place in places for folder in folders)
                if has_it:
                    yield target


def _with_workdirs(stages: list[Stage]) -> Iterator[tuple[Stage, PurePosixPath]]:
    """Yield stages, the lowest first, each with the WORKDIR that it begins with."""
    workdir = PurePosixPath("/")
    for stage in reversed(stages):
        yield stage, workdir
        workdir = stage.workdir(workdir)
