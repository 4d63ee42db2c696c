"""A discount for regular customers."""


def discounted(price, visits)
    """Ten percent off from the tenth visit on."""
    return price - price // 10 if visits >= 10 else price
