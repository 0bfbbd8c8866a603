// What work on a Vulkan device costs beside its kernels: the first product of a process with and without kernels on the disk, writing and
// compiling kernels, handing over and waiting, dispatches that wait for each other and that do not, copies between host and device, two
// tenants at once. One line of JSON per row.
//   execution          every row
//   execution smoke    the same with less work
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "bench/gpu/measure.hpp"
#include "cotenant/vulkan/pinned.hpp"

namespace ct = cotenant;
using Clock = std::chrono::steady_clock;

namespace {

bool smoke = false;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

void print(const std::string& name, double seconds, double bytes = 0, const std::string& more = {}) {
  const double speed = bytes / seconds * 1e-9;
  std::printf("{\"bench\": \"%s\", \"seconds\": %.4g, \"gigabytes_per_second\": %.5g%s}\n", name.c_str(), seconds, speed, more.c_str());
  std::fflush(stdout);
}
std::string is_right(bool right) { return right ? ", \"right\": true" : ", \"right\": false"; }

// The first product, in a process of its own: the loader and the drivers, then what comes from the creation of the device on.
constexpr std::array stages{"before it, the loader and its drivers", "asking what the device can do", "making the device", "its first memory",
                            "operands to the device", "writing the kernel", "compiling the kernel", "recording, running and waiting"};
constexpr std::size_t figures = stages.size() + 2;  // all of it, the stages, whether the result is right
template <class T> int first_product(const char* folder, std::uint32_t queues) {
  const std::size_t n = smoke ? 64 : 1024;
  const auto a = ct::full<T>({n, n}, ct::convert<T>(0.5f)), b = ct::full<T>({n, n}, ct::convert<T>(0.25f));
  auto last = Clock::now();
  const auto lap = [&] {
    const auto before = std::exchange(last, Clock::now());
    return std::chrono::duration<double>(last - before).count();
  };
  const auto instance = ct::vulkan::Instance::get(false, false, true);
  const VkPhysicalDevice device = instance->choose({});
  const double loader = lap();
  const auto begin = last;
  static_cast<void>(ct::vulkan::Query(instance->handle(), device).capabilities());
  const double asking = lap();
  const auto gpu = ct::Vulkan::open({.queues = queues, .cache_folder = folder});
  const double opening = lap();
  const auto x = ct::empty<T>({n, n}, gpu), y = ct::empty<T>({n, n}, gpu);
  const double memory = lap();
  ct::copy_into(x, a), ct::copy_into(y, b);
  gpu.synchronize();
  const double copied = lap();
  const auto product = ct::matmul(x, y);
  gpu.synchronize();
  const double computed = lap(), all = std::chrono::duration<double>(last - begin).count();
  const ct::KernelStatistics made = gpu.kernel_statistics();
  const bool right = ct::convert<float>(product.template copy_to<ct::Heap>().view()(n - 1, n / 2)) == static_cast<float>(n) / 8;
  std::printf("first %g %g %g %g %g %g %g %g %g %d\n", all, loader, asking, opening, memory, copied, made.emit_seconds, made.compile_seconds,
              computed - made.emit_seconds - made.compile_seconds, right ? 1 : 0);
  return 0;
}

void first_products(const std::string& program) {
  const auto folder = std::filesystem::temp_directory_path() / "cotenant-bench-first";
  struct Case {
    const char* type;
    bool cached;
    std::uint32_t queues;
  };
  for (const Case& one : {Case{"f16", false, 2}, Case{"f16", true, 2}, Case{"f16", true, 1}, Case{"f32", false, 2}, Case{"f32", true, 2}}) {
    if (!one.cached) std::filesystem::remove_all(folder);
    std::vector<std::array<double, figures>> runs;
    for (int i = 0; i < 3; ++i) {
      if (!one.cached) std::filesystem::remove_all(folder);
      const std::string command = "\"" + program + "\" first " + one.type + " \"" + folder.string() + "\" " + std::to_string(one.queues) + (smoke ? " smoke" : "");
      std::FILE* const child = ::popen(command.c_str(), "r");
      std::array<double, figures> run{};
      std::size_t found = 0;
      if (child != nullptr) {
        for (double& value : run) found += std::fscanf(child, found == 0 ? "first %lf" : "%lf", &value) == 1;
        ::pclose(child);
      }
      if (found == run.size()) runs.push_back(run);
      else std::fprintf(stderr, "the first product of %s failed\n", one.type);
    }
    if (runs.empty()) continue;
    std::sort(runs.begin(), runs.end());
    const std::array<double, figures>& median = runs[runs.size() / 2];
    const bool right = std::all_of(runs.begin(), runs.end(), [](const auto& run) { return run.back() == 1; });
    const std::string name = std::string("first matmul ") + one.type + (smoke ? " 64" : " 1024") + (one.cached ? ", kernels on the disk" : ", nothing on the disk") +
                             (one.queues == 1 ? ", one queue" : "");
    print(name + ", from the device's creation on", median[0], 0, is_right(right));
    print(name + ", once the device is there", median[0] - median[2] - median[3]);  // this library's own part
    for (std::size_t i = 0; i < stages.size(); ++i) print(name + ": " + stages[i], median[i + 1]);
  }
  std::filesystem::remove_all(folder);
}

// What a kernel costs before it runs for the first time: our part, and the driver's.
void kernels(const ct::Vulkan& gpu) {
  const auto made = [&](const std::string& name, auto op) {
    const ct::KernelStatistics before = gpu.kernel_statistics();
    op(), gpu.synchronize();
    const ct::KernelStatistics after = gpu.kernel_statistics();
    const auto count = static_cast<double>(std::max<std::size_t>(after.kernels - before.kernels, 1));
    print("writing a kernel's SPIR-V: " + name, (after.emit_seconds - before.emit_seconds) / count);
    print("the driver's compiling: " + name, (after.compile_seconds - before.compile_seconds) / count);
  };
  const auto rows = bench::numbers<float>(gpu, {256, 1024}), bias = bench::numbers<float>(gpu, {1024});
  const auto matrix = bench::numbers<float>(gpu, {1024, 1024});
  const auto half = ct::cast<ct::f16>(matrix);
  const auto heads = bench::numbers<float>(gpu, {1, 4, 64, 64});
  gpu.synchronize();
  made("map of two inputs", [&] { ct::map([](auto a, auto b) { return max(a * b, 0.f); }, rows, bias); });
  made("gelu", [&] { ct::map([](auto a) { return gelu(a); }, rows); });
  made("softmax", [&] { ct::softmax(rows, -1); });
  made("sum of rows", [&] { ct::reduce_sum(rows, ct::ReduceOptions{.axes = {-1}}); });
  made("layer norm", [&] { ct::layer_norm(rows, bias, bias); });
  made("transposed copy", [&] { rows.transpose(0, 1).copy_to(gpu); });
  made("matmul f32 with gelu", [&] { ct::matmul(matrix, matrix, [](auto sum, auto b) { return gelu(sum + b); }, bias); });
  made("matmul f16", [&] { ct::matmul(half, half); });
  made("attention", [&] { ct::attention(heads, heads, heads); });
}

void dispatches(const ct::Vulkan& gpu, const std::string& when) {
  const auto one_more = [](auto v) { return v + 1.f; };
  const auto x = ct::full<float>({256}, 0.f).copy_to(gpu);
  const auto once = [&] { ct::map_into(x, one_more, x); };
  const int turns = smoke ? 20 : 3000, many = smoke ? 20 : 1000;
  once(), gpu.synchronize();
  double calls = 1;
  print("one dispatch, handed over and waited for" + when, bench::host_seconds([&] { once(), gpu.synchronize(), ++calls; }, turns));
  const auto on_device = [&](auto f) { return bench::device_seconds(gpu, [&] { for (int i = 0; i < many; ++i) f(i); }) / many; };
  const auto on_host = [&](const std::string& name, auto f) {
    std::vector<double> recording;
    for (int round = 0; round < 11; ++round) {
      gpu.synchronize();
      recording.push_back(bench::host_seconds([&] { for (int i = 0; i < many; ++i) f(i); }, 1) / many);
    }
    std::sort(recording.begin(), recording.end());
    print(name + ", the host's part" + when, recording[5]);
  };
  const auto counting = [&](int) { once(), ++calls; };
  const double dependent = on_device(counting);
  on_host("a dispatch that waits for the one before", counting);
  // Floats count up to 2^24.
  const float counted = x.copy_to<ct::Heap>().view().data()[7];
  print("a dispatch that waits for the one before, on the device" + when, dependent, 0, is_right(counted == static_cast<float>(std::min(calls, 0x1p24))));
  std::vector<ct::SharedTensor<float, ct::Vulkan>> outputs;
  for (int i = 0; i < 64; ++i) outputs.push_back(ct::empty<float>({256}, gpu));
  // Every output is written again 64 dispatches later: one barrier in 64.
  const auto scattered = [&](int i) { ct::map_into(outputs[static_cast<std::size_t>(i) % 64], one_more, x); };
  print("a dispatch that waits for none, on the device" + when, on_device(scattered));
  on_host("a dispatch that waits for none", scattered);
}

void copies(const ct::Vulkan& gpu) {
  for (const std::size_t bytes : {std::size_t{1} << 20, smoke ? std::size_t{4} << 20 : std::size_t{256} << 20}) {
    const std::string size = std::to_string(bytes >> 20) + " MiB";
    auto host = ct::empty<std::uint8_t>({bytes});
    for (std::size_t i = 0; i < bytes; ++i) host.mutable_view().data()[i] = static_cast<std::uint8_t>(i * 131 >> 7);
    auto back = ct::full<std::uint8_t>({bytes}, 0);
    const auto there = ct::empty<std::uint8_t>({bytes}, gpu);
    const int turns = smoke ? 3 : bytes > (std::size_t{64} << 20) ? 9 : 101;
    const auto equal = [&] { return std::memcmp(host.view().data(), back.view().data(), bytes) == 0; };
    const auto count = static_cast<double>(bytes);
    const auto to_device = [&] { ct::copy_into(there, host), gpu.synchronize(); };
    const auto to_host = [&] { ct::copy_into(back, there), static_cast<void>(back.view()); };
    to_device(), to_host();
    // What bounds the next two: every byte is copied once by the host, too.
    const std::size_t pieces = bytes / ct::vulkan::host_piece;
    print("host memory to host memory " + size + ", " + std::to_string(ct::vulkan::CopyThreads::sharing(pieces)) + " threads", bench::host_seconds([&] {
            gpu.device().copy_threads().for_each(pieces, [&](std::size_t i) {
              const std::size_t at = i * ct::vulkan::host_piece;
              std::memcpy(back.mutable_view().data() + at, host.view().data() + at, ct::vulkan::host_piece);
            });
          }, turns), count);
    print("host to device " + size + ", ordinary memory", bench::host_seconds(to_device, turns), count);
    const double reading = bench::host_seconds(to_host, turns);
    print("device to host " + size + ", ordinary memory", reading, count, is_right(equal()));
    if (!gpu.capabilities().host_import) continue;
    // The same calls with tensors that the device reads and writes by itself.
    {
      auto pinned = ct::empty<std::uint8_t>({bytes}, ct::Pinned(gpu)), pinned_back = ct::empty<std::uint8_t>({bytes}, ct::Pinned(gpu));
      std::memcpy(pinned.mutable_view().data(), host.view().data(), bytes);
      std::memset(pinned_back.mutable_view().data(), 0, bytes);
      print("host to device " + size + ", pinned tensor", bench::host_seconds([&] { ct::copy_into(there, pinned), gpu.synchronize(); }, turns), count);
      const double pinned_reading = bench::host_seconds([&] { ct::copy_into(pinned_back, there), static_cast<void>(pinned_back.view()); }, turns);
      print("device to host " + size + ", pinned tensor", pinned_reading, count, is_right(std::memcmp(host.view().data(), pinned_back.view().data(), bytes) == 0));
    }
    const auto imported = gpu.import(host);
    const auto import_back = gpu.import(back);
    std::memset(back.mutable_view().data(), 0, bytes);
    print("host to device " + size + ", imported memory", bench::host_seconds([&] { ct::copy_into(there, imported), gpu.synchronize(); }, turns), count);
    if (back.view().data()[bytes - 1] != 0) std::fprintf(stderr, "the host's bytes were not cleared\n");
    const double importing = bench::host_seconds([&] { ct::copy_into(import_back, there), gpu.synchronize(); }, turns);
    print("device to host " + size + ", imported memory", importing, count, is_right(equal()));
  }
  // The device's part of a copy: between its memory and the staging memory that copies go through.
  const std::size_t bytes = std::size_t{smoke ? 1u : 64u} << 20;
  const auto there = ct::empty<std::uint8_t>({bytes}, gpu);
  auto& stream = *gpu.shared_stream();
  const auto place = gpu.device().memory().find(there.block()->data());
  const std::shared_ptr<ct::vulkan::MemoryChunk> chunk = gpu.device().staging().get(bytes);
  using ct::vulkan::Access;
  const auto staged = [&](Access access) { return ct::vulkan::BufferArgument{nullptr, reinterpret_cast<const void*>(chunk->address()), bytes, access}; };
  const std::string size = std::to_string(bytes >> 20) + " MiB of staging memory";
  print("host to device, " + size, bench::device_seconds(gpu, [&] {
          stream.copy(staged(Access::read), {chunk->buffer(), 0, bytes, nullptr}, ct::vulkan::whole(there.block(), Access::write), place, chunk);
        }, 0.2), static_cast<double>(bytes));
  print("device to host, " + size, bench::device_seconds(gpu, [&] {
          stream.copy(ct::vulkan::whole(there.block(), Access::read), place, staged(Access::write), {chunk->buffer(), 0, bytes, nullptr}, chunk);
        }, 0.2), static_cast<double>(bytes));
}

// Each tenant has a stream, so a queue, and works on a chain of its own. Work gives what it leaves behind, and its times must agree.
template <class Work> void tenants(const ct::Vulkan& gpu, const std::string& what, const Work& work) {
  const int rounds = smoke ? 2 : 15;
  const std::array streams{gpu.stream("first"), gpu.stream("second")};
  std::array<ct::SharedTensor<float, ct::Vulkan>, 2> left;
  const auto alone = [&](std::size_t tenant) {
    left[tenant] = work(streams[tenant]);
    streams[tenant].shared_stream()->flush(), streams[tenant].shared_stream()->finish();
  };
  // A thread each, started before the clock.
  const auto both_once = [&] {
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::array<std::thread, 2> threads;
    for (std::size_t i = 0; i < 2; ++i)
      threads[i] = std::thread([&, i] {
        ++ready;
        while (!go) {}
        alone(i);
      });
    while (ready != 2) {}
    const auto begin = Clock::now();
    go = true;
    for (std::thread& thread : threads) thread.join();
    return seconds_since(begin);
  };
  static_cast<void>(bench::device_seconds(streams[0], [&] { alone(0); }, smoke ? 0.0 : 0.6));
  alone(1);
  const double one = bench::host_seconds([&] { alone(0); }, rounds);
  const auto expected = left[0].template copy_to<ct::Heap>();
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) times.push_back(both_once());
  std::sort(times.begin(), times.end());
  const double two = times[times.size() / 2];
  bool right = true;
  for (const auto& tensor : left) {
    const auto have = tensor.template copy_to<ct::Heap>();
    right = right && std::memcmp(have.view().data(), expected.view().data(), expected.size() * sizeof(float)) == 0;
  }
  print("one tenant, " + what, one);
  char more[64];
  std::snprintf(more, sizeof more, ", \"times_one_alone\": %.3f", two / one);
  print("two tenants on two queues, each " + what, two, 0, more + is_right(right));
  // The same two after each other, which is what one queue with barriers would do.
  print("the same two in turn", bench::host_seconds([&] { alone(0), alone(1); }, rounds));
}

void all_tenants(const ct::Vulkan& gpu) {
  using Tensor = ct::SharedTensor<float, ct::Vulkan>;
  // Products whose depth is split over as many workgroups as keep the device busy: there is little room for a second tenant.
  {
    const std::size_t n = smoke ? 32 : 512;
    const int products = smoke ? 5 : 500;
    const Tensor a = bench::numbers<float>(gpu, {n, n});
    tenants(gpu, std::to_string(products) + " dependent products of " + std::to_string(n), [&](const ct::Vulkan& on) {
      // Halved numbers of [-2, 2) would grow without bound: the epilogue keeps them small.
      std::array<Tensor, 2> turns{ct::empty<float>({n, n}, on), ct::empty<float>({n, n}, on)};
      ct::copy_into(turns[0], a);
      for (int i = 0; i < products; ++i)
        ct::matmul_into(turns[static_cast<std::size_t>(i + 1) % 2], a, turns[static_cast<std::size_t>(i) % 2], [](auto sum) { return sum * 0.01f; });
      return turns[static_cast<std::size_t>(products) % 2];
    });
  }
  // A workgroup for each part of a few long rows: much of the device is idle. Kernels of 10 and of some 40 µs: the fewer there are, the less
  // of the front end that the queues share.
  for (const std::size_t columns : {smoke ? std::size_t{256} : std::size_t{65536}, smoke ? std::size_t{512} : std::size_t{262144}}) {
    const std::size_t rows = smoke ? 4 : 32;
    const int times = smoke ? 5 : columns > 100000 ? 100 : 300;
    const Tensor a = bench::numbers<float>(gpu, {rows, columns});
    tenants(gpu, std::to_string(times) + " dependent softmaxes of " + std::to_string(rows) + " x " + std::to_string(columns), [&](const ct::Vulkan& on) {
      const Tensor x = ct::empty<float>({rows, columns}, on);
      ct::copy_into(x, a);
      for (int i = 0; i < times; ++i) ct::softmax_into(x, x, -1);
      return x;
    });
  }
}

}  // namespace

int main(int count, char** arguments) {
  smoke = count > 1 && std::strcmp(arguments[count - 1], "smoke") == 0;
  // The driver has a cache of its own, which would answer where ours has nothing.
  ::setenv("__GL_SHADER_DISK_CACHE", "0", 1);
  if (count > 3 && std::strcmp(arguments[1], "first") == 0) {
    const auto queues = static_cast<std::uint32_t>(count > 4 ? std::atoi(arguments[4]) : 2);
    return std::strcmp(arguments[2], "f16") == 0 ? first_product<ct::f16>(arguments[3], queues) : first_product<float>(arguments[3], queues);
  }
  const auto gpu = ct::Vulkan::open({.cache_folder = "-"});
  std::printf("{\"device\": \"%s\", \"driver\": \"%s\"}\n", gpu.capabilities().name.c_str(), gpu.capabilities().driver.c_str());
  std::fflush(stdout);
  first_products(arguments[0]);
  dispatches(gpu, "");
  kernels(gpu);
  copies(gpu);
  dispatches(gpu, ", after large copies");
  all_tenants(gpu);
}
