// What a merchant's page does: shows the card field, asks for a token, hands it to its own server.
"use strict";

const pay = document.getElementById("pay");
const result = document.getElementById("result");

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.json();
}

async function start() {
  const order = await post("/orders", {});
  const card = Paymesh(document.body.dataset.publishableKey)
    .elements({ theme: "auto" })
    .card({ paymentIntentId: order.paymentIntentId, clientSecret: order.clientSecret });
  card.onChange((state) => {
    pay.disabled = !state.isComplete;
  });
  card.mount("#card");

  document.getElementById("checkout").addEventListener("submit", async (event) => {
    event.preventDefault();
    pay.disabled = true;
    result.textContent = "One moment …";
    const { token, error } = await card.createToken();
    if (error) {
      result.textContent = error.message;
      pay.disabled = false;
      return;
    }
    const paid = await post(`/orders/${order.paymentIntentId}/pay`, { token: token.id });
    result.textContent = paid.message;
    result.dataset.status = paid.status;
    pay.disabled = paid.status !== "failed";
  });
}

start();
