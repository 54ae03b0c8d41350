"""The site with the page of kept mail, which production does not route."""

from django.urls import path

from console import urls
from console.mailbox import mail

urlpatterns = [*urls.urlpatterns, path("mail/", mail, name="mail")]
