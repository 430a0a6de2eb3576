"""A customer pays in the demo shop, in a real browser; the shop never sees the card."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from playwright.async_api import Browser, FrameLocator, Page, Route, expect

from sandbox.client import Keys
from tests.e2e import merchant as cards
from tests.e2e.chromium import (
    SHOTS,
    VIEWPORTS,
    Seen,
    a_browser,
    a_context,
    a_shop,
    served,
)
from tests.e2e.conftest import Mesh

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),  # starting everything is part of the first one's time
]

CVC = "739"
INSUFFICIENT = "4000000000009995"
PAGE = """<!doctype html><title>shop</title><div id="card"></div>
<script src="{edge}/js/paymesh.js"></script>
<script>
window.states = [];
window.card = Paymesh("{key}").elements({appearance})
  .card({{paymentIntentId: "{intent}", clientSecret: "{secret}"}});
card.onChange((state) => states.push(state));
card.mount("#card");
</script>"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser of this test's own."""
    async with a_browser() as started:
        yield started


@pytest.fixture
def keys(mesh: Mesh) -> Keys:
    """A merchant with test keys."""
    made = mesh.new_keys()
    return Keys(made.merchant_id, made.publishable_key, made.secret_key)


def card_fields(page: Page) -> FrameLocator:
    """Return the frame with the card fields."""
    return page.frame_locator("iframe[title='Secure card payment']")


async def ready_fields(page: Page) -> FrameLocator:
    """Return the frame once its script runs: before that, focus doesn't follow what is typed."""
    fields = card_fields(page)
    await expect(fields.locator("html")).to_have_attribute("data-theme", re.compile("light|dark"))
    return fields


async def fill(page: Page, number: str, expiry: str = "1234", cvc: str = CVC) -> None:
    """Type a card as a customer does: focus follows by itself."""
    await (await ready_fields(page)).get_by_label("Card number").click()
    for text in (number, expiry, cvc):
        await page.keyboard.type(text)


def spellings(digits: str) -> list[bytes]:
    """Return how a number might be hidden in what is sent."""
    plain = digits.encode()
    grouped = " ".join(re.findall(".{1,4}", digits)).encode()
    shifted = [base64.b64encode(b"x" * offset + plain) for offset in range(3)]
    encoded = [text[4:-4] for text in shifted]
    return [plain, grouped, plain.hex().encode(), digits.encode("cp500"), plain[::-1], *encoded]


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (cards.APPROVED, ("succeeded", "on its way")),
        (cards.APPROVED_MASTERCARD, ("succeeded", "on its way")),
        (INSUFFICIENT, ("failed", "insufficient funds")),
        (cards.ANSWER_LOST, ("pending_verification", "has not answered yet")),
    ],
)
async def test_a_customer_pays_and_nobody_sees_the_number(
    mesh: Mesh, browser: Browser, keys: Keys, number: str, told: tuple[str, str]
) -> None:
    status, message = told
    seen = Seen()
    async with a_shop(mesh, keys, seen) as address, a_context(browser) as context:
        page = await context.new_page()
        seen.watch(page)
        await page.goto(address)
        await fill(page, number)
        await page.get_by_role("button", name="Pay").click()
        result = page.get_by_role("status")
        await expect(result).to_have_attribute("data-status", status, timeout=20_000)
        await expect(result).to_contain_text(message)

    everything = seen.text()
    assert any(url.endswith("/card-tokens") for _, url, *_ in seen.sent)
    assert b"encryptedCard" in everything
    assert any(b'"token": "tok_' in part or b'"token":"tok_' in part for part in seen.received)
    for spelling in spellings(number):
        assert spelling not in everything


async def test_fields_format_and_say_what_is_wrong(
    mesh: Mesh, browser: Browser, keys: Keys
) -> None:
    async with a_shop(mesh, keys, Seen()) as address, a_context(browser) as context:
        page = await context.new_page()
        await page.goto(address)
        frame = card_fields(page)
        number, expiry, cvc = (
            frame.get_by_label(label) for label in ("Card number", "Expiry date", "Security code")
        )
        await fill(page, "5555555555554444", "134", "")

        await expect(number).to_have_value("5555 5555 5555 4444")
        await expect(frame.locator("#brand")).to_have_text("Mastercard")
        await expect(expiry).to_have_value("13 / 4")
        await expiry.fill("1220")
        await expect(frame.get_by_role("alert")).to_have_text("The card has expired.")
        await expect(expiry).to_have_attribute("aria-invalid", "true")
        await expiry.fill("4/31")
        await expect(expiry).to_have_value("04 / 31")
        await number.fill("4242424242424241")
        await expect(frame.get_by_role("alert")).to_have_text("The card number is incorrect.")
        await number.fill("378282246310005")
        await expect(frame.get_by_role("alert")).to_contain_text("brand")
        await number.fill("4242")
        await expect(frame.get_by_role("alert")).to_have_text("")
        await cvc.focus()
        await expect(frame.get_by_role("alert")).to_have_text("The card number is incomplete.")
        await expect(page.get_by_role("button", name="Pay")).to_be_disabled()


async def test_it_is_usable_by_keyboard_alone(mesh: Mesh, browser: Browser, keys: Keys) -> None:
    async with a_shop(mesh, keys, Seen()) as address, a_context(browser) as context:
        page = await context.new_page()
        await page.goto(address)
        await ready_fields(page)
        await page.keyboard.press("Tab")
        await page.keyboard.type(cards.APPROVED)
        await page.keyboard.type("1234")
        await page.keyboard.type(CVC)
        for _ in range(3):
            await page.keyboard.press("Backspace")
        await page.keyboard.press("Backspace")  # an empty field leads back to the one before
        await page.keyboard.press("Backspace")
        await page.keyboard.type("5")
        await page.keyboard.type(CVC)
        await expect(card_fields(page).get_by_label("Expiry date")).to_have_value("12 / 35")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")

        await expect(page.get_by_role("status")).to_have_attribute(
            "data-status", "succeeded", timeout=20_000
        )


async def test_what_was_typed_before_the_script_is_there_counts(
    mesh: Mesh, browser: Browser, keys: Keys
) -> None:
    typed = asyncio.Event()

    async def late(route: Route) -> None:
        await typed.wait()
        await route.continue_()

    async with a_shop(mesh, keys, Seen()) as address, a_context(browser) as context:
        page = await context.new_page()
        await page.route("**/js/card-frame.js", late)
        await page.goto(address, wait_until="commit")
        number = card_fields(page).get_by_label("Card number")
        await number.press_sequentially("5555555555554444")
        typed.set()

        await ready_fields(page)
        await expect(number).to_have_value("5555 5555 5555 4444")
        await expect(card_fields(page).locator("#brand")).to_have_text("Mastercard")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", VIEWPORTS)
async def test_the_form_fits_and_is_photographed(
    mesh: Mesh, browser: Browser, keys: Keys, scheme: str, size: str
) -> None:
    viewport = VIEWPORTS[size]
    options = {"viewport": viewport, "color_scheme": scheme}
    async with a_shop(mesh, keys, Seen()) as address, a_context(browser, **options) as context:
        page = await context.new_page()
        await page.goto(address)
        await fill(page, cards.APPROVED, "1220", "")
        await expect(card_fields(page).get_by_role("alert")).to_have_text("The card has expired.")
        SHOTS.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=SHOTS / f"card-{size}-{scheme}.png")

        box = await page.locator("iframe").bounding_box()
        inside = await page.frames[1].evaluate("document.documentElement.scrollWidth")
        assert box is not None
        assert inside <= box["width"] <= viewport["width"]
        assert await page.frames[1].evaluate("document.documentElement.dataset.theme") == scheme


async def test_a_hostile_page_cannot_read_the_frame_or_speak_for_the_shop(
    mesh: Mesh, browser: Browser, keys: Keys
) -> None:
    edge = str(mesh.status()["edge_url"])
    html = PAGE.format(
        edge=edge, key=keys.publishable_key, intent="pi_1", secret="s", appearance="{}"
    )
    hostile = """<script>
    addEventListener("message", (event) => top.postMessage(["heard", String(event.data)], "*"));
    setInterval(() => {
      parent.postMessage("paymesh:card-frame:ready", "*");
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = (event) => top.postMessage(["stolen", JSON.stringify(event.data)], "*");
      parent.frames[0].postMessage({type: "paymesh:card-frame:init", publishableKey: "pk_test_x",
        paymentIntentId: "pi_x", clientSecret: "x", look: {theme: "dark", variables: {}}},
        "*", [port2]);
    }, 50);
    </script>"""

    async def shop(_: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    async def advertisement(_: web.Request) -> web.Response:
        return web.Response(text=hostile, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", shop), web.get("/ad", advertisement)])
    async with served(app) as address, a_context(browser) as context:
        page = await context.new_page()
        await page.goto(address)
        await expect(card_fields(page).get_by_label("Card number")).to_be_visible()
        await page.evaluate(
            """(address) => {
              window.caught = [];
              addEventListener("message", (event) => caught.push(event.data));
              const ad = document.createElement("iframe");
              ad.src = address.replace("127.0.0.1", "localhost") + "/ad";
              document.body.append(ad);
            }""",
            address,
        )
        await fill(page, cards.APPROVED)
        await page.wait_for_function("states.some((state) => state.isComplete)")
        readable = await page.evaluate(
            """() => { try { return String(document.querySelector("iframe").contentDocument); }
            catch (refused) { return refused.name; } }"""
        )
        told = await page.evaluate("JSON.stringify([states, caught])")
        theme = await page.frames[1].evaluate("document.documentElement.dataset.theme")

    assert readable in {"null", "SecurityError"}
    assert "ready" in told  # the advertisement did speak
    assert "stolen" not in told
    assert "heard" not in told
    assert "4242" not in told
    assert theme == "light"


async def test_only_pages_of_the_merchants_domains_may_frame_the_fields(
    mesh: Mesh, browser: Browser, connect: Callable[..., cards.Merchant]
) -> None:
    edge = str(mesh.status()["edge_url"])
    made = mesh.new_keys("live")
    html = PAGE.format(
        edge=edge, key=made.publishable_key, intent="pi_1", secret="s", appearance="{}"
    )

    async def shop(_: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", shop)])
    async with served(app) as address, a_context(browser) as context:
        page = await context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        await page.goto(address)
        await page.wait_for_timeout(1000)

    assert any("frame-ancestors" in line for line in said)
    mesh.run("merchants", "domains", "add", made.merchant_id, "Shop.example")
    assert mesh.run("merchants", "domains", "list", made.merchant_id) == "shop.example\n"
    frame = await connect(made).send("GET", f"/card-frame?key={made.publishable_key}")
    assert frame.headers["content-security-policy"].endswith("frame-ancestors https://shop.example")
    mesh.run("merchants", "domains", "remove", made.merchant_id, "shop.example")
    frame = await connect(made).send("GET", f"/card-frame?key={made.publishable_key}")
    assert frame.headers["content-security-policy"].endswith("frame-ancestors 'none'")
