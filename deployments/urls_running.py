"""Site map of what is done to a Deployment as a whole."""

from django.urls import path

from deployments import views_running, views_schedule

_ONE = "deployments/<slug:release_name>"
urls = [
    path(f"{_ONE}/upgrade/", views_running.upgrade, name="upgrade"),
    path(f"{_ONE}/upgrade/dismiss/", views_running.dismiss_failed_upgrade, name="upgrade_dismiss"),
    path(f"{_ONE}/hibernate/", views_running.hibernate, name="hibernate"),
    path(f"{_ONE}/wake/", views_running.wake, name="wake"),
    path(f"{_ONE}/tasks/", views_running.tasks, name="tasks"),
    path(f"{_ONE}/schedule/", views_schedule.schedule, name="schedule"),
    path(f"{_ONE}/schedule/preview/", views_schedule.preview, name="schedule_preview"),
    path(f"{_ONE}/transfer/", views_running.transfer, name="transfer"),
]
