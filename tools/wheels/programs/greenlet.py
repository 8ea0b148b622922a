"""Switch between greenlets of its own."""

import greenlet


def work():
    main = greenlet.getcurrent()
    seen = []

    def child(number):
        seen.append(number)
        main.switch()

    for number in range(50):
        greenlet.greenlet(child).switch(number)
    assert seen == list(range(50))
