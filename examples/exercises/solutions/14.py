"""Solution of exercise 14, and mistakes with what the check says of them."""

_KEPT = {}


# > rate: passes
def rate(step, lr, warmup, decay):
    if step < warmup:
        return lr * (step + 1) / warmup
    return lr / (1 + decay * (step - warmup))


# > decayed_again: asked again, it answers otherwise: the decayed rate is kept somewhere, and decayed again
def decayed_again(step, lr, warmup, decay):
    if step < warmup:
        return lr * (step + 1) / warmup
    _KEPT["lr"] = _KEPT.get("lr", lr) / (1 + decay * (step - warmup))
    return _KEPT["lr"]


# > first_update_wasted: the list of 12 rates is wrong, most at [0]: expected 0.2, got 0
# >   the first update has rate 0 and does nothing: step counts from 0
def first_update_wasted(step, lr, warmup, decay):
    return lr * step / warmup if step < warmup else rate(step, lr, warmup, decay)


# > decay_from_the_beginning: the list of 12 rates is wrong, most at [4]: expected 0.8, got 0.2667
# >   the decay counts from the beginning, not from the warm-up's end
def decay_from_the_beginning(step, lr, warmup, decay):
    return rate(step, lr, warmup, decay) if step < warmup else lr / (1 + decay * step)


# > decayed_too_early: the list of 12 rates is wrong, most at [4]: expected 0.8, got 0.5333
# >   the first rate behind the warm-up is decayed already
def decayed_too_early(step, lr, warmup, decay):
    return rate(step, lr, warmup, decay) if step < warmup else rate(step + 1, lr, warmup, decay)
