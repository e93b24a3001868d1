"""How many links and clicks there were, day by day: what the task queue added up (`app.tasks.roll_up`)."""

import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from app.dependencies import WorkerDatabase
from app.models import Day
from app.problems import documented

router = APIRouter(tags=["links"])

MOST_DAYS = 366


class DayOut(BaseModel):
    """The sums at the end of a day, or until now."""

    model_config = ConfigDict(from_attributes=True)
    day: datetime.date
    links: int
    clicks: int


@router.get("/days", responses=documented(503))
async def days(database: WorkerDatabase) -> list[DayOut]:
    """Tell the sums of the last year, the latest first. Without a task queue there are none."""
    async with database.read() as session:
        found = await session.scalars(select(Day).order_by(Day.day.desc()).limit(MOST_DAYS))
        return [DayOut.model_validate(day) for day in found]
