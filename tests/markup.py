"""HTML as a browser opens and closes it."""

from html.parser import HTMLParser


class Balance(HTMLParser):
    """Whether every element that is opened is closed in order; those of `empty` are never closed."""

    def __init__(self, *empty):
        super().__init__()
        self.empty, self.open = empty, []

    def handle_starttag(self, name, attrs):
        if name not in self.empty:
            self.open.append(name)

    def handle_startendtag(self, name, attrs):
        """It is closed already."""

    def handle_endtag(self, name):
        assert self.open.pop() == name
