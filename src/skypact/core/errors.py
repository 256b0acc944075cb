"""Expected trouble, with its facts: each error is one clear line that says what, where and what to do."""


class SkypactError(Exception):
    """Trouble that a user can mend; its text is one line."""


class BadInputError(SkypactError):
    """A file, table or setting that can't be used."""

    def __init__(self, what: str, where: str, advice: str = "") -> None:
        """Args: `what` is wrong, `where` it stands (file, key, line), `advice` on what to do."""
        self.what = what
        self.where = where
        self.advice = advice
        super().__init__(f"{where}: {what}" + (f" ({advice})" if advice else ""))
