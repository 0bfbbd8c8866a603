// What a call costs beside its work: choosing the CPU target, and the way through the front doors, on 16 floats.
#include "bench/kernels/kernels.hpp"

namespace bench {
namespace {

// Sixteen floats that the compiler cannot know, and a plain loop over them.
struct Sixteen {
  alignas(64) float a[16], b[16], out[16];
};
inline void multiply_add(Sixteen& x) {
  for (int i = 0; i < 16; ++i) x.out[i] = x.a[i] * x.b[i] + 0.5f;
  asm volatile("" : : "r"(&x) : "memory");
}
[[gnu::noinline]] void directly(Sixteen& x) { multiply_add(x); }
[[gnu::noinline]] void dispatched(Sixteen& x) {
  ct::cpu::dispatch<HWY_TARGETS>([&x](auto) { multiply_add(x); });
}

}  // namespace

void calls(Bench& bench) {
  if (!bench.options.wants("dispatch")) return;
  // A thousand at a time: the benchmark's own call through a std::function costs as much as what is measured.
  constexpr int times = 1000;
  static Sixteen x{};
  Row row;
  row.section = "dispatch";
  row.shape = "a kernel of 16 floats";
  row.unit = "ns";
  row.limit = 6e-9;
  row.calls = times;
  bench.row(row, [&] {
    return std::vector<Call>{{"cotenant", [] { for (int i = 0; i < times; ++i) dispatched(x); }},
                             {"a direct call", [] { for (int i = 0; i < times; ++i) directly(x); }}};
  });
  const auto in = random({16}), out = ct::empty<float>({16});
  row.limit = 0;
  row.shape = "map_into of 16 floats";
  bench.row(row, [&] {
    return std::vector<Call>{{"cotenant", [&] { for (int i = 0; i < times; ++i) ct::map_into(out, [](auto v) { return v * v + 0.5f; }, in); }}};
  });
}

}  // namespace bench
