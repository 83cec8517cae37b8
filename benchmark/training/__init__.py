"""The training loop of torch methods: batches, augmentation, schedules, checkpoints, devices.

Importing this package loads no torch; take ``TorchMethod`` and ``TrainerConfig`` from
``benchmark.api``.
"""
