"""Starting kernels beside one another."""


def patient(start, tries=3):
    """Start a kernel again if it dies before it answers.

    A kernel's ports are looked up as free and opened only later, by the kernel. In between they can go to a kernel
    that another worker starts; then this one ends at once. It was seen once in some twenty runs of all lessons.
    """
    def started(*arguments, **settings):
        for left in reversed(range(tries)):
            try:
                return start(*arguments, **settings)
            except RuntimeError as error:
                if not left or "Kernel died" not in str(error):
                    raise
    return started
