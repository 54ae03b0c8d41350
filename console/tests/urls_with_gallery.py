"""The site with the developers' pages, which production does not route."""

from console import urls, urls_dev

urlpatterns = [*urls.urlpatterns, *urls_dev.urlpatterns]
