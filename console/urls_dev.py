"""For developers: routed only when DEBUG or EMBEDDED."""

from django.urls import path

from console.gallery import gallery

urlpatterns = [path("gallery/", gallery, name="gallery")]
