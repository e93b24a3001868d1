"""A worker of a release from before there were pictures: it serves the same queue, and does not know the task."""

import os

from celery import Celery

celery = Celery("app", broker=os.environ["BROKER_URL"])
