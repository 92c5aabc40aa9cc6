"""A controller of its own process, to be killed: `controller.py HOME`."""

import sys
import time

from heliotrope.config import MeasureSettings, Settings
from heliotrope.run import Controller

controller = Controller(Settings(home=sys.argv[1], zone="DE", measure=MeasureSettings(interval_s=0.2)))
while True:
    time.sleep(controller.step() if controller.lead() else 0.05)
