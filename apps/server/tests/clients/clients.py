"""Python's official client and LiteLLM against a started server: clients.py URL IMAGE. Prints the name of each check that passed."""

import base64
import io
import json
import sys
import time

import litellm
import openai

url, image = sys.argv[1], sys.argv[2]
client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
data = "data:image/png;base64," + base64.b64encode(open(image, "rb").read()).decode()


def messages(text):
    content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": data}}]
    return [{"role": "user", "content": content}]


plain = client.chat.completions.create(model="florence2-nano", messages=messages("<OD>"))
message = plain.choices[0].message
typed = message.model_extra["florence2"]
assert len(typed["objects"]) == len(typed["answer"]["bboxes"]) > 0
assert message.content.count("\n") == len(typed["objects"]) - 1
assert plain.usage.prompt_tokens_details.cached_tokens in (0, 65)
assert plain._request_id.startswith("req_")
print("openai plain")

chunks = list(client.chat.completions.create(
    model="florence2-nano", messages=messages("<OD>"), stream=True, stream_options={"include_usage": True}))
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert text == message.content
assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens and chunks[-1].choices == []
print("openai stream")

extra = client.chat.completions.create(
    model="florence2-nano", messages=messages(""), extra_body={"task": "REGION_TO_CATEGORY", "region": [10, 10, 90, 90]})
assert extra.choices[0].message.model_extra["florence2"]["task"] == "<REGION_TO_CATEGORY>"
print("openai extra_body")

try:
    client.chat.completions.create(model="florence2-nano", messages=messages("<REGION_TO_OCR>"))
    raise SystemExit("a task without its region was answered")
except openai.BadRequestError as error:
    assert error.code == "task_invalid" and error.request_id.startswith("req_")
print("openai error")

content = [{"type": "input_text", "text": "<OD>"}, {"type": "input_image", "image_url": data, "detail": "auto"}]
response = client.responses.create(model="florence2-nano", input=[{"role": "user", "content": content}])
assert response.output_text == message.content
print("openai responses")

body = {"model": "florence2-nano", "messages": messages("<CAPTION>")}
line = json.dumps({"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": body})
file = client.files.create(file=("lines.jsonl", io.BytesIO(line.encode())), purpose="batch")
batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
while batch.status not in ("completed", "failed"):
    time.sleep(0.1)
    batch = client.batches.retrieve(batch.id)
assert batch.request_counts.completed == 1
assert json.loads(client.files.content(batch.output_file_id).text)["custom_id"] == "one"
print("openai batch")

options = {"model": "openai/florence2-nano", "api_base": f"{url}/v1", "api_key": "none", "messages": messages("<OD>")}
lite = litellm.completion(**options)
assert lite.choices[0].message.content == message.content
assert lite.choices[0].message.provider_specific_fields["florence2"]["answer"] == typed["answer"]
print("litellm plain")

parts = list(litellm.completion(**options, stream=True))
assert "".join(part.choices[0].delta.content or "" for part in parts) == message.content
print("litellm stream")
