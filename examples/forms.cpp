// One tensor, many forms: other element types, widths and layouts for the models that cannot take it as it is.
#include <cotenant/cotenant.hpp>

#include <cstdio>

namespace ct = cotenant;

int main() {
  ct::TensorSharingManager manager{{.record_events = true}};
  manager.register_tensor("weights", ct::full<float>({64, 768}, 0.25f), {.producer = "bert-base-uncased"});
  manager.register_tensor("text_embedding", ct::full<float>({1, 768}, 0.5f), {.producer = "bert-base-uncased"});
  const auto matrix = ct::full<float>({768, 512}, 0.01f);

  auto w8 = manager.get<std::int8_t>("weights", "t5-base").quantized();  // registered as float: values and one scale for each row
  auto wh = manager.get<ct::bf16>("weights", "bart-large");
  manager.register_tensor("packed", w8);
  auto back = manager.get<float>("packed", "bart-large");  // and back: get<float>() of what was registered Quantized

  manager.set_form("text_embedding", "distilbert", {.dtype = ct::DType::f16, .width = 384, .fit = ct::Fit::slice});
  manager.set_form("text_embedding", "t5-small", {.projection = ct::projection(matrix)});  // [768, 512]
  manager.set_form("text_embedding", "gpt2", {.width = 1024});
  auto shared = manager.share("text_embedding", "bert-base-uncased", {"distilbert", "t5-small", "gpt2"});
  for (const auto& [consumer, result] : shared.consumers)
    std::printf("%-12s %-12s %4zu bytes  %s\n", consumer.c_str(), to_string(result.status), result.bytes, result.how.c_str());
  auto half = manager.get<ct::f16>("text_embedding", "distilbert");  // [1, 384]
  auto narrow = manager.get<float>("text_embedding", "t5-small");    // [1, 512]

  // What was computed here, each once.
  for (const ct::Event& event : manager.events())
    if (event.kind == ct::EventKind::derive) std::printf("made %s for %s: %zu bytes\n", event.tensor.c_str(), event.model.empty() ? "everybody" : event.model.c_str(), event.bytes);
  std::puts(manager.report().c_str());
  const bool right = back->view()(63, 767) == 0.25f && wh->view()(0, 0) == ct::bf16(0.25f) && half->shape() == ct::Shape{1, 384} && narrow->shape() == ct::Shape{1, 512} &&
                     shared == ct::ShareStatus::incompatible && shared.consumers.at("distilbert").status == ct::ShareStatus::adapted;
  return right ? 0 : 1;
}
