"""For developers: routed only when DEBUG or EMBEDDED."""

from django.conf import settings
from django.urls import path

from console.gallery import gallery
from console.mailbox import mail

urlpatterns = [path("gallery/", gallery, name="gallery")]

if settings.MAIL_IS_KEPT:
    urlpatterns += [path("mail/", mail, name="mail")]
