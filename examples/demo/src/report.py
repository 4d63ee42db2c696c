"""Writes the report of a week."""

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def report(totals):
    """`totals`: cents, a day each."""
    lines = [f"{day}  {total / 100:10.2f}" for day, total in zip(DAYS, totals)]
    lines.append(f"all  {sum(totals) / 100:10.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report([1458, 1220, 990, 1710, 2305, 870]))
