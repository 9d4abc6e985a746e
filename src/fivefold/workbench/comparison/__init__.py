"""The comparison in its stages: plan → splits → cells → table → page. The door is :func:`fivefold.workbench.compare.compare`."""
