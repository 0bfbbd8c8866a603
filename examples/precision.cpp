// One checkpoint at three precisions: float, bf16 and int8 models side by side on the same mapped file.
//   precision [CHECKPOINT]     a BERT-family directory; without one, random weights of the shape of all-MiniLM-L6-v2
#include <cotenant/cotenant.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace ct = cotenant;

namespace {
const std::vector<std::string> texts{"The cat sat on the mat.", "A kitten rested on the rug.", "Interest rates rose again last quarter.",
                                     "Water boils at a hundred degrees at sea level.", "She plays the cello in a small orchestra."};

template <class P> ct::SharedTensor<float> run(const char* name, const ct::Checkpoint& checkpoint, const ct::TensorSharingManager& manager, const ct::SharedTensor<float>& exact) {
  const auto model = ct::TextEncoder<float, ct::Mapped, P>::open(checkpoint, name);
  auto embeddings = model.encode(texts);  // the first call packs the weights
  std::vector<double> times;
  for (int i = 0; i < 20; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    embeddings = model.encode(texts);
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  // Embeddings have length 1: their product is the cosine.
  const auto cosine =
      exact
          ? ct::reduce<ct::reduction::Minimum>(ct::reduce<ct::reduction::Sum>(ct::map([](auto a, auto b) { return a * b; }, embeddings, exact), {.axes = {1}}))
          : ct::full<float>({}, 1);
  std::printf("  %-6s %6.2f ms for %zu sentences   smallest cosine with float %.5f   made of the weights so far %s\n", name, times[times.size() / 2], texts.size(),
              static_cast<double>(cosine.view().data()[0]), ct::format_bytes(manager.stats().derived_bytes).c_str());
  return embeddings;
}
}  // namespace

int main(int count, char** arguments) {
  std::filesystem::path folder = count > 1 ? arguments[1] : std::filesystem::temp_directory_path() / "cotenant-random-minilm";
  if (count < 2) ct::write_random_checkpoint(folder);
  ct::TensorSharingManager manager;
  const ct::Checkpoint checkpoint = ct::Checkpoint::open(folder, manager);
  std::printf("%s: %s of weights, mapped once\n", checkpoint.name().c_str(), ct::format_bytes(manager.stats().true_bytes).c_str());
  const auto exact = run<ct::precision::Stored>("float", checkpoint, manager, {});
  run<ct::precision::BFloat16>("bf16", checkpoint, manager, exact);
  run<ct::precision::Int8>("int8", checkpoint, manager, exact);
}
