// Sentence embeddings computed wholly on a GPU, beside the CPU's: the same model, the same ops, another storage.
//   gpu [CHECKPOINT]     a BERT-family directory; without one, random weights of the shape of all-MiniLM-L6-v2
// COTENANT_VULKAN_DEVICE chooses the device by index or by a part of its name. Without one the CPU's result is all there is.
#include <cotenant/cotenant.hpp>
#include <cotenant/vulkan.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace ct = cotenant;

namespace {
const std::vector<std::string> texts{"The cat sat on the mat.", "A kitten rested on the rug.", "Interest rates rose again last quarter.",
                                     "Water boils at a hundred degrees at sea level.", "She plays the cello in a small orchestra."};

// The embeddings on the host, and the median time of one call.
template <class Model> std::pair<ct::SharedTensor<float>, double> run(const Model& model) {
  auto embeddings = model.encode(texts).template copy_to<ct::Heap>();  // the first call packs weights, or compiles kernels
  embeddings.view();
  std::vector<double> times;
  const auto start = std::chrono::steady_clock::now();
  while (times.empty() || (times.size() < 20 && std::chrono::steady_clock::now() - start < std::chrono::seconds(2))) {
    const auto begin = std::chrono::steady_clock::now();
    embeddings = model.encode(texts).template copy_to<ct::Heap>();
    embeddings.view();  // waits for the GPU
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  return {embeddings, times[times.size() / 2]};
}

// The page of the README: the same lines as on the CPU, on another storage. The largest difference from the CPU's result.
float page() {
  const auto weights = ct::from<float>({1, 2, 3, 4, 5, 6}, {3, 2}), x = ct::from<float>({-1, 0, 1}, {1, 3}), bias = ct::from<float>({0.5f, -0.5f}, {2});
  const auto epilogue = [](auto acc, auto b) { return gelu(acc + b); };

  ct::Vulkan gpu;                                                        // the best device
  auto w = weights.copy_to(gpu);                                         // SharedTensor<float, Vulkan>
  auto in = x.copy_to(ct::Pinned(gpu));                                  // host memory that the device reads by itself, at the full rate
  auto y = ct::matmul(in.copy_to(gpu), w, epilogue, bias.copy_to(gpu));  // queued
  auto host = ct::softmax(y, -1).copy_to<ct::Heap>();                    // only reading waits
  auto t5 = gpu.stream("t5-base");                                       // the same memory, work of its own: a tenant
  auto z = ct::map([](auto a) { return 2.f * a; }, w.copy_to(t5));       // beside the other's, until they touch one tensor

  const auto expected = ct::softmax(ct::matmul(x, weights, epilogue, bias), -1);
  const auto twice = z.copy_to<ct::Heap>();
  float largest = 0;
  for (std::size_t i = 0; i < host.size(); ++i) largest = std::max(largest, std::abs(host.view().data()[i] - expected.view().data()[i]));
  for (std::size_t i = 0; i < twice.size(); ++i) largest = std::max(largest, std::abs(twice.view().data()[i] - 2 * weights.view().data()[i]));
  return largest;
}
}  // namespace

int main(int count, char** arguments) {
  const std::filesystem::path folder = count > 1 ? arguments[1] : std::filesystem::temp_directory_path() / "cotenant-random-minilm";
  if (count < 2) ct::write_random_checkpoint(folder);
  const auto model = ct::TextEncoder<float>::open(ct::Checkpoint::open(folder));
  const auto [on_cpu, cpu_time] = run(model);
  std::printf("CPU  %8.2f ms for %zu sentences\n", cpu_time, texts.size());

  try {
    const ct::Vulkan gpu;
    const ct::TextEncoder<float, ct::Vulkan> twin(model.tokenizer(), model.encoder().copy_to(gpu));
    const auto [on_gpu, gpu_time] = run(twin);
    float largest = 0;
    for (std::size_t i = 0; i < on_cpu.size(); ++i) largest = std::max(largest, std::abs(on_cpu.view().data()[i] - on_gpu.view().data()[i]));
    const ct::GpuMemoryUsage memory = gpu.gpu_memory_usage();
    const ct::KernelStatistics kernels = gpu.kernel_statistics();
    std::printf("GPU  %8.2f ms on '%s' (%s)\n", gpu_time, gpu.capabilities().name.c_str(), to_string(gpu.capabilities().type));
    std::printf("     %s in %zu tensors, %s at most; %zu kernels took %.0f ms to write and %.0f ms to compile\n", ct::format_bytes(memory.in_use).c_str(), memory.tensors,
                ct::format_bytes(memory.peak).c_str(), kernels.kernels, kernels.emit_seconds * 1e3, kernels.compile_seconds * 1e3);
    std::printf("     the largest difference of the %zu x %zu numbers is %.2g\n", on_cpu.shape(0), on_cpu.shape(1), static_cast<double>(largest));
    // Embeddings have length 1: float sums in another order differ in the last bits.
    return largest < 1e-5f && page() < 1e-5f ? 0 : 1;
  } catch (const ct::Unsupported& error) {
    std::printf("GPU  left out: %s\n", error.what());
    return 0;
  }
}
