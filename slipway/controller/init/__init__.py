"""`slipway init`: what a repository needs to be deployed, found in its files and written beside them."""

from slipway.controller.init.findings import InitError
from slipway.controller.init.questions import Ask, Question, unanswered
from slipway.controller.init.run import File, Result, State, run
from slipway.controller.init.source import Source

__all__ = ["Ask", "File", "InitError", "Question", "Result", "Source", "State", "run", "unanswered"]
