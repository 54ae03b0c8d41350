"""Steps of signing in that are ours. django-allauth runs them in order; see `AccountAdapter.get_login_stages`."""

from allauth.account.models import EmailAddress
from allauth.account.stages import EmailVerificationStage
from django.http import HttpResponse


class ConfirmFirst(EmailVerificationStage):  # type: ignore[misc]
    """Where mail can be sent, the person who signs up confirms the address before the first sign-in: so sign-up
    answers the same whether it is registered, and sends the rest by mail. No one who has been in, and no operator whom
    a command made, is kept out."""

    def handle(self) -> tuple[HttpResponse | None, bool]:
        """The answer in place of the next step, if any, and whether to go on."""
        user = self.login.user
        known = user is not None and (
            user.last_login is not None or not EmailAddress.objects.filter(user=user).exists()
        )
        if known and not self.login.signup:
            return None, True
        answer: tuple[HttpResponse | None, bool] = super().handle()
        return answer
