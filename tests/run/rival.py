"""One of several controllers, in a process of its own: `rival.py HOME`. Says at each turn what it is."""

import sys
import time

from heliotrope.config import MeasureSettings, Settings
from heliotrope.errors import Deposed, StoreError
from heliotrope.run import Controller

controller = Controller(Settings(home=sys.argv[1], zone="DE", measure=MeasureSettings(interval_s=0.2)))
while True:
    try:
        leads = controller.lead()
        print("leads" if leads else "waits", flush=True)
        time.sleep(controller.step() if leads else 0.05)
    except (Deposed, StoreError) as error:
        print("stood down:", error.what, flush=True)
