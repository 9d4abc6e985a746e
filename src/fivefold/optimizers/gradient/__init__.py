"""First-order optimizers for gradients that a learner supplies: plain ``torch.optim.Optimizer`` classes."""
