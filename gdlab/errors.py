"""What a user can get wrong, told apart from what the lab gets wrong."""


class UserError(Exception):
    """Something asked for can't be done; `str()` of it names the cause, the place and the way out."""


class SelectionError(UserError, ValueError):
    """The results don't hold what is asked of them."""
