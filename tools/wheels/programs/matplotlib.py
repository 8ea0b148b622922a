"""Draw a figure of its own into memory."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def work():
    figure = Figure()
    figure.subplots().plot(range(100))
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    assert picture.getvalue().startswith(b"\x89PNG")
