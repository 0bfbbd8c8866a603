// The library on one page: an embedding computed once, held by several models, run through fused ops.
#include <cotenant/cotenant.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace ct = cotenant;
using namespace ct::literals;

// What a comment below promises is checked, so that this page stays true.
static void check(bool promise, const char* what) {
  if (promise) return;
  std::printf("not true: %s\n", what);
  std::exit(1);
}

int main() {
  // A small BERT of the usual width. Its weights are random here; any BERT-family directory opens the same way.
  const auto folder = std::filesystem::temp_directory_path() / "cotenant-one-page";
  ct::write_random_checkpoint(
      folder, {.vocabulary_size = 2000, .hidden_size = 768, .layers = 1, .heads = 12, .intermediate_size = 768, .max_positions = 64, .token_types = 2});

  ct::TensorSharingManager manager{{.max_memory = 2_GiB}};
  const auto bert = ct::TextEncoder<float>::open(ct::Checkpoint::open(folder, manager), "bert-base-uncased");

  // BERT computes an embedding once and registers it; T5 and BART hold it; DistilBERT takes half of it.
  auto text = manager.register_tensor("text_embedding", bert.encode("two by two"), {.producer = "bert-base-uncased"});
  manager.share("text_embedding", "bert-base-uncased", {"t5-base", "bart-large"});
  ct::Lease lease = manager.get<float>("text_embedding", "t5-base");  // RAII: released at scope end
  auto half = manager.create_view<float>("text_embedding", "text_embedding_half", {0, 0}, {1, 384}, "distilbert");
  check(lease->block() == text.block() && half->block() == text.block(), "all three are the same bytes");
  check(manager.stats().tensors.at("text_embedding_half").extra_bytes == 0, "a view costs nothing");

  // One expression, recorded once, replayed by whichever backend holds the operands.
  const auto weights = ct::full<float>({768, 64}, 0.01f);
  const auto bias = ct::full<float>({64}, 0.5f);
  auto y = ct::matmul(*lease, weights, [](auto acc, auto b) { return gelu(acc + b); }, bias);
  auto p = ct::softmax(y, /*axis=*/-1);
  auto q = ct::quantize<std::int8_t>(p);  // values + scale (+ zero point)
  check(y.shape() == ct::Shape({1, 64}) && std::abs(ct::reduce_sum(p).view()() - 1.0f) < 1e-5f, "softmax sums to one");
  check(q.values.bytes() * 4 == p.bytes(), "int8 takes a quarter of the bytes");

  const std::size_t released = manager.release_model("bert-base-uncased");
  check(released > 1, "the producer's lease, and those on its weights, are gone");
  check(manager.contains("text_embedding") && !manager.can_be_freed("text_embedding"), "t5 still holds the embedding");
  std::puts(manager.report().c_str());  // who holds what, what it saved
}
