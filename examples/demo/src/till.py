"""Adds up what was sold in a day."""


def gross(net, percent):
    """What a customer pays, in cents."""
    return net + (net * percent + 50) // 100


def day_total(sales, tax):
    """`sales`: (group, net price in cents) each; `tax`: the percentage of each group."""
    return sum(gross(net, tax.get(group, tax["other"])) for group, net in sales)


if __name__ == "__main__":
    print(day_total([("food", 250), ("other", 1000)], {"food": 7, "other": 19}))
