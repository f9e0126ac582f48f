"""What can be wrong before anything runs."""


def register() -> None: ...
