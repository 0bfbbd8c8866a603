// What work on a Vulkan device costs beside its kernels: the first product of a process with and without kernels on the disk, handing
// over and waiting, dispatches that wait for each other and that do not, copies between host and device, two tenants at once. One line
// of JSON per row.
//   execution          every row
//   execution smoke    the same with less work
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "bench/gpu/measure.hpp"

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
constexpr std::array stages{"before it, the loader and its drivers", "making the device", "operands to the device",
                            "writing the kernel", "compiling the kernel", "recording, running and waiting"};
template <class T> int first_product(const char* folder) {
  const std::size_t n = smoke ? 64 : 1024;
  const auto a = ct::full<T>({n, n}, ct::convert<T>(0.5f)), b = ct::full<T>({n, n}, ct::convert<T>(0.25f));
  const auto start = Clock::now();
  static_cast<void>(ct::vulkan::Instance::get(false, false, true)->devices());
  const double loader = seconds_since(start);
  const auto begin = Clock::now();
  const auto gpu = ct::Vulkan::open({.cache_folder = folder});
  const double device = seconds_since(begin);
  const auto x = a.copy_to(gpu), y = b.copy_to(gpu);
  gpu.synchronize();
  const double copied = seconds_since(begin);
  const auto product = ct::matmul(x, y);
  gpu.synchronize();
  const double all = seconds_since(begin);
  const ct::KernelStatistics made = gpu.kernel_statistics();
  const bool right = ct::convert<float>(product.template copy_to<ct::Heap>().view()(n - 1, n / 2)) == static_cast<float>(n) / 8;
  std::printf("first %g %g %g %g %g %g %g %d\n", all, loader, device, copied - device, made.emit_seconds, made.compile_seconds,
              all - copied - made.emit_seconds - made.compile_seconds, right ? 1 : 0);
  return 0;
}

void first_products(const std::string& program) {
  const auto folder = std::filesystem::temp_directory_path() / "cotenant-bench-first";
  for (const char* type : {"f16", "f32"}) {
    std::filesystem::remove_all(folder);
    for (const bool cached : {false, true}) {
      std::vector<std::array<double, 8>> runs;
      for (int i = 0; i < 3; ++i) {
        if (!cached) std::filesystem::remove_all(folder);
        const std::string command = "\"" + program + "\" first " + type + " \"" + folder.string() + "\"" + (smoke ? " smoke" : "");
        std::FILE* const child = ::popen(command.c_str(), "r");
        std::array<double, 8> run{};
        std::size_t found = 0;
        if (child != nullptr) {
          for (double& value : run) found += std::fscanf(child, found == 0 ? "first %lf" : "%lf", &value) == 1;
          ::pclose(child);
        }
        if (found == run.size()) runs.push_back(run);
        else std::fprintf(stderr, "the first product of %s failed\n", type);
      }
      if (runs.empty()) continue;
      std::sort(runs.begin(), runs.end());
      const std::array<double, 8>& median = runs[runs.size() / 2];
      const bool right = std::all_of(runs.begin(), runs.end(), [](const auto& run) { return run[7] == 1; });
      const std::string name = std::string("first matmul ") + type + (smoke ? " 64" : " 1024") + (cached ? ", kernels on the disk" : ", nothing on the disk");
      print(name + ", from the device's creation on", median[0], 0, is_right(right));
      for (std::size_t i = 0; i < stages.size(); ++i) print(name + ": " + stages[i], median[i + 1]);
    }
  }
  std::filesystem::remove_all(folder);
}

void dispatches(const ct::Vulkan& gpu) {
  const auto one_more = [](auto v) { return v + 1.f; };
  const auto x = ct::full<float>({256}, 0.f).copy_to(gpu);
  const auto once = [&] { ct::map_into(x, one_more, x); };
  const int turns = smoke ? 20 : 3000, many = smoke ? 20 : 1000;
  once(), gpu.synchronize();
  double calls = 1;
  print("one dispatch, handed over and waited for", bench::host_seconds([&] { once(), gpu.synchronize(), ++calls; }, turns));
  const auto on_device = [&](auto f) { return bench::device_seconds(gpu, [&] { for (int i = 0; i < many; ++i) f(i); }) / many; };
  const auto on_host = [&](const std::string& name, auto f) {
    std::vector<double> recording;
    for (int round = 0; round < 11; ++round) {
      gpu.synchronize();
      recording.push_back(bench::host_seconds([&] { for (int i = 0; i < many; ++i) f(i); }, 1) / many);
    }
    std::sort(recording.begin(), recording.end());
    print(name + ", the host's part", recording[5]);
  };
  const auto counting = [&](int) { once(), ++calls; };
  const double dependent = on_device(counting);
  on_host("a dispatch that waits for the one before", counting);
  // Floats count up to 2^24.
  const float counted = x.copy_to<ct::Heap>().view().data()[7];
  print("a dispatch that waits for the one before, on the device", dependent, 0, is_right(counted == static_cast<float>(std::min(calls, 0x1p24))));
  std::vector<ct::SharedTensor<float, ct::Vulkan>> outputs;
  for (int i = 0; i < 64; ++i) outputs.push_back(ct::empty<float>({256}, gpu));
  // Every output is written again 64 dispatches later: one barrier in 64.
  const auto scattered = [&](int i) { ct::map_into(outputs[static_cast<std::size_t>(i) % 64], one_more, x); };
  print("a dispatch that waits for none, on the device", on_device(scattered));
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
    print("host to device " + size + ", ordinary memory", bench::host_seconds(to_device, turns), count);
    const double reading = bench::host_seconds(to_host, turns);
    print("device to host " + size + ", ordinary memory", reading, count, is_right(equal()));
    if (!gpu.capabilities().host_import) continue;
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

// Each tenant has a stream, so a queue, and multiplies small matrices that depend on each other: they leave most of the device idle.
void tenants(const ct::Vulkan& gpu) {
  const std::size_t n = smoke ? 32 : 512;
  const int products = smoke ? 5 : 500, rounds = smoke ? 2 : 15;
  struct Tenant {
    ct::Vulkan stream;
    ct::SharedTensor<float, ct::Vulkan> a, b, c;
    Tenant(const ct::Vulkan& on, std::size_t side)
        : stream(on), a(bench::numbers<float>(on, {side, side})), b(ct::empty<float>({side, side}, on)), c(ct::empty<float>({side, side}, on)) {}
    void work(int times) const {
      // b and c in turn: each product reads the one before. Halved numbers of [-2, 2) would grow without bound: the epilogue keeps them small.
      ct::copy_into(b, a);
      for (int i = 0; i < times; ++i) ct::matmul_into(i % 2 == 0 ? c : b, a, i % 2 == 0 ? b : c, [](auto sum) { return sum * 0.01f; });
      stream.shared_stream()->flush();
    }
    void wait() const { stream.shared_stream()->finish(); }
  };
  const Tenant first(gpu.stream("first"), n), second(gpu.stream("second"), n);
  const auto alone = [&](const Tenant& tenant) { tenant.work(products), tenant.wait(); };
  // A thread each, started before the clock.
  const auto both_once = [&] {
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::array<std::thread, 2> threads;
    for (std::size_t i = 0; i < 2; ++i)
      threads[i] = std::thread([&, i] {
        ++ready;
        while (!go) {}
        alone(i == 0 ? first : second);
      });
    while (ready != 2) {}
    const auto begin = Clock::now();
    go = true;
    for (std::thread& thread : threads) thread.join();
    return seconds_since(begin);
  };
  static_cast<void>(bench::device_seconds(first.stream, [&] { first.work(products); }, smoke ? 0.0 : 0.6));
  alone(second);
  const double one = bench::host_seconds([&] { alone(first); }, rounds);
  const auto expected = (products % 2 == 1 ? first.c : first.b).copy_to<ct::Heap>();
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) times.push_back(both_once());
  std::sort(times.begin(), times.end());
  const double two = times[times.size() / 2];
  bool right = true;
  for (const Tenant* tenant : {&first, &second}) {
    const auto have = (products % 2 == 1 ? tenant->c : tenant->b).copy_to<ct::Heap>();
    right = right && std::memcmp(have.view().data(), expected.view().data(), n * n * sizeof(float)) == 0;
  }
  const std::string what = std::to_string(products) + " dependent products of " + std::to_string(n);
  print("one tenant, " + what, one);
  char more[64];
  std::snprintf(more, sizeof more, ", \"times_one_alone\": %.3f", two / one);
  print("two tenants on two queues, each " + what, two, 0, more + is_right(right));
  // The same two after each other, which is what one queue with barriers would do.
  print("the same two in turn", bench::host_seconds([&] { alone(first), alone(second); }, rounds));
}

}  // namespace

int main(int count, char** arguments) {
  smoke = count > 1 && std::strcmp(arguments[count - 1], "smoke") == 0;
  // The driver has a cache of its own, which would answer where ours has nothing.
  ::setenv("__GL_SHADER_DISK_CACHE", "0", 1);
  if (count > 3 && std::strcmp(arguments[1], "first") == 0)
    return std::strcmp(arguments[2], "f16") == 0 ? first_product<ct::f16>(arguments[3]) : first_product<float>(arguments[3]);
  const auto gpu = ct::Vulkan::open({.cache_folder = "-"});
  std::printf("{\"device\": \"%s\", \"driver\": \"%s\"}\n", gpu.capabilities().name.c_str(), gpu.capabilities().driver.c_str());
  std::fflush(stdout);
  first_products(arguments[0]);
  dispatches(gpu);
  copies(gpu);
  tenants(gpu);
}
