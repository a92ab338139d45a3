"""Workers that are threads of one process, for tests. Not a test by itself."""

import pytest

import arraynn as nn
from arraynn.errors import WorkerError


def members(count, function):
    """[function(group)] of so many workers."""
    return nn.workers(f"threads:{count}").run(function)


def refused_by_both(told, fit):
    """fit(group) of two workers raises one WorkerError that matches, in the same words on both."""
    raised = []

    def one(group):
        try:
            fit(group)
        except WorkerError as error:
            raised.append(str(error))
            raise

    with pytest.raises(WorkerError, match=told):
        members(2, one)
    assert len(raised) == 2
    assert raised[0] == raised[1]
