"""Learning-rate schedules: plain ``torch.optim.lr_scheduler.LRScheduler`` classes."""
