"""Parse, transform and write a document of its own."""

from lxml import etree


def work():
    root = etree.fromstring("<a>" + "<b c='1'/>" * 100 + "</a>")
    assert len(root.xpath("//b[@c='1']")) == len(root)
    etree.tostring(root)
