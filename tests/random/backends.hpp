// run_random: random cases of a table of ops on every backend that is here. What fails is made smaller, and printed with its seed.
// tests/random/run.sh sets these for long runs:
//   COTENANT_RANDOM_SEEDS    cases of each op on the CPU; on a GPU one for each eight, since a case is a kernel to compile
//   COTENANT_RANDOM_FIRST    the first seed
//   COTENANT_RANDOM_OP       one op by its name
//   COTENANT_RANDOM_BACKEND  cpu or vulkan alone
// COTENANT_TEST_VULKAN chooses the plans of kernels, COTENANT_VULKAN_DEVICE the device: see ../vulkan/checked_options.hpp.
#ifndef COTENANT_TESTS_RANDOM_BACKENDS_HPP
#define COTENANT_TESTS_RANDOM_BACKENDS_HPP
#include <cotenant/cotenant.hpp>
#ifdef COTENANT_VULKAN_SEPARATE  // as where libvulkan is
#include <cotenant/vulkan.hpp>

#include "../vulkan/checked_options.hpp"
#endif
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "trial.hpp"

namespace cotenant::test {

inline std::string random_option(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}
inline std::uint64_t random_option(const char* name, std::uint64_t otherwise) {
  const std::string value = random_option(name);
  return value.empty() ? otherwise : std::strtoull(value.c_str(), nullptr, 10);
}

struct CpuUnderTest {
  using storage_type = Heap;
  static constexpr const char* name = "cpu";
  static constexpr std::size_t one_in = 1;  // of the seeds, run here
  static Heap storage(std::uint64_t) { return {}; }
  static std::string complaint() { return {}; }
  static void forget() {}
};
#ifdef COTENANT_VULKAN_SEPARATE
// Every third case by descriptors, with validation of hazards.
struct VulkanUnderTest {
  using storage_type = Vulkan;
  static constexpr const char* name = "vulkan";
  static constexpr std::size_t one_in = 8;
  static Vulkan storage(std::uint64_t seed) { return device(seed % 3 == 2); }
  // What validation says of the case that is over.
  static std::string complaint() {
    std::string text;
    for (const bool descriptors : {false, true}) {
      Device& tested = devices()[descriptors];
      if (!tested.opened) continue;
      tested.opened->synchronize();
      if (tested.opened->validation_messages() != tested.seen) text = "validation: " + tested.opened->validation_texts().back();
      tested.seen = tested.opened->validation_messages();
    }
    return text;
  }
  // After a device was lost: the next case opens another.
  static void forget() { devices() = {}; }

 private:
  struct Device {
    std::optional<Vulkan> opened;
    std::size_t seen = 0;  // messages of validation
  };
  static std::array<Device, 2>& devices() {
    static std::array<Device, 2> both;
    return both;
  }
  static const Vulkan& device(bool descriptors) {
    std::optional<Vulkan>& opened = devices()[descriptors].opened;
    if (!opened) opened = Vulkan::open(checked_options(descriptors));
    return *opened;
  }
};
#endif

// Why a case of an op fails; empty where it does not. `text` becomes what it was.
template <class Op, class Backend> std::string failure(Choices& choices, std::uint64_t seed, std::string& text) {
  std::string why;
  try {
    Trial<typename Backend::storage_type> trial(choices, Backend::storage(seed));
    try {
      trial.template run<Op>();
    } catch (const Mismatch& mismatch) { why = mismatch.text; } catch (const Error& error) {
      why = std::string("an error: ") + error.what();
    }
    text = trial.text();
    const std::string complaint = Backend::complaint();
    if (why.empty()) why = complaint;
  } catch (const DeviceLost& error) {
    if (why.empty()) why = error.what();
    Backend::forget();
  }
  return why;
}

template <class Op, class Backend> void run_random_op(std::uint64_t first, std::uint64_t seeds) {
  const std::string only = random_option("COTENANT_RANDOM_OP");
  if (!only.empty() && only != Op::name) return;
  // Ops have seeds of their own: FNV-1a of the name.
  std::uint64_t mixed = 0xcbf29ce484222325u;
  for (const char letter : std::string_view(Op::name)) mixed = (mixed ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
  std::uint64_t failed = 0;
  compared = {};
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    Choices choices(mixed + seed);
    std::string text;
    const std::string why = failure<Op, Backend>(choices, seed, text);
    if (why.empty()) continue;
    std::string smallest_text = text, smallest_why = why;
    // As long as a person waits.
    smallest_failing(choices.record(), 200, [&](const std::vector<std::uint32_t>& record) {
      Choices again(record);
      std::string again_text;
      std::string again_why = failure<Op, Backend>(again, seed, again_text);
      if (again_why.empty()) return false;
      smallest_text = std::move(again_text);
      smallest_why = std::move(again_why);
      return true;
    });
    FAIL_CHECK(std::string(Op::name) << " on " << std::string(Backend::name) << ", seed " << seed << ": " << why << "\n  " << text
                                     << "\nThe smallest case found: " << smallest_why << "\n  " << smallest_text << "\nAgain: COTENANT_RANDOM_OP='"
                                     << std::string(Op::name) << "' COTENANT_RANDOM_FIRST=" << seed << " COTENANT_RANDOM_SEEDS=1");
    // One reason often fails many cases.
    if (++failed == random_option("COTENANT_RANDOM_FAILURES", 3)) return;
  }
  INFO(std::string(Op::name), " on ", std::string(Backend::name), ": ", compared.elements, " elements, ", compared.unknown, " of them unknown");
  CHECK(failed == 0);
  CHECK(compared.unknown * 2 <= compared.elements);
}

// The ops, one after another, on each backend. `seeds` is what the tests of every day run.
template <class... Ops> void run_random(std::uint64_t seeds) {
  const std::string backend = random_option("COTENANT_RANDOM_BACKEND");
  const std::uint64_t first = random_option("COTENANT_RANDOM_FIRST", 0);
  seeds = random_option("COTENANT_RANDOM_SEEDS", seeds);
  const auto on = [&]<class B>(std::type_identity<B>) {
    if (backend.empty() || backend == B::name) (run_random_op<Ops, B>(first, (seeds + B::one_in - 1) / B::one_in), ...);
  };
  on(std::type_identity<CpuUnderTest>{});
#ifdef COTENANT_VULKAN_SEPARATE
  on(std::type_identity<VulkanUnderTest>{});
#endif
}

}  // namespace cotenant::test

#endif
