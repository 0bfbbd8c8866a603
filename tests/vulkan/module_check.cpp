#include "cotenant/vulkan/module_check.hpp"

#include <doctest/doctest.h>

#include <random>

#include "changed_module.hpp"
#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/module_interface.hpp"
#include "emitted.hpp"

using namespace cotenant;
using namespace cotenant::test;

TEST_CASE("what a compiler made is left alone") { CHECK(refusal(axpy) == "no error"); }

TEST_CASE("ids are defined once, before they are used, and are what is needed there") {
  const std::size_t multiply = find(133), load = find(61), constant = find(43);
  CHECK(has(changed(multiply + 3, 4000), "defined nowhere"));
  CHECK(has(changed(multiply + 2, axpy[3]), "not below the bound"));
  CHECK(has(changed(multiply + 2, 0), "the id 0"));
  CHECK(has(changed(multiply + 2, axpy[load + 2]), "is defined twice"));
  CHECK(has(changed(multiply + 3, axpy[find(129) + 2]), "used before it is defined"));
  CHECK(has(changed(multiply + 3, axpy[constant + 1]), "is not what the instruction 133 needs"));
  CHECK(has(changed(multiply + 1, axpy[constant + 2]), "is not what the instruction 133 needs"));
  CHECK(has(changed(find(250) + 2, axpy[multiply + 2]), "is not what the instruction 250 needs"));
}

TEST_CASE("instructions stand where they belong") {
  CHECK(has(without(find(56)), "does not end"));
  CHECK(has(without(find(248, 1)), "outside of every block"));
  CHECK(has(without(find(250)), "no branch follows"));
  CHECK(has(without(find(14)), "memory model"));
  CHECK(has(twice(find(71), find(61)), "lies in a function"));
  CHECK(has(twice(find(17), find(43)), "comes after its section"));
}

TEST_CASE("what decorations and built-in variables are of, and that buffers say where their parts lie") {
  CHECK(has(changed(find(23) + 3, 9), "has another type"));
  CHECK(has(changed(find(54) + 4, axpy[find(21) + 1]), "takes arguments"));
  CHECK(has(changed(find(72) + 2, 12), "its struct does not have"));
  CHECK(has(without(find(72)), "no offset"));
  CHECK(has(changed(find(71, 1) + 2, 9), "has too many or too few operands"));
  CHECK(has(without(find(71)), "an input that is not built in"));
  CHECK(has(changed(find(71) + 1, axpy[find(43) + 2]), "what a kernel is not told"));
  CHECK(has(changed(find(71) + 3, 29), "has another type"));
  CHECK(has(changed(find(11) + 2, 0x4c534c48), "a set of instructions other than"));
}

namespace {
Words kernel_with(auto rest) {
  static const vulkan::Capabilities device = usual_device();
  vulkan::KernelBuilder k({device});
  const vulkan::Buffer x = k.buffer(k.f32());
  const vulkan::Value i = k.local_index();
  k.when(i < 5u, [&] { x.store(i, x.load(i) + 1.f); });
  Words words = k.finish();
  rest(words);
  return words;
}
std::size_t find_in(const Words& words, vulkan::spirv::Op op) {
  std::size_t at = 5;
  while ((words[at] & 0xffff) != static_cast<std::uint32_t>(op)) at += words[at] >> 16;
  return at;
}
}  // namespace

TEST_CASE("what one branch computed is not used behind it") {
  using vulkan::spirv::Op;
  CHECK(refusal(kernel_with([](Words&) {})) == "no error");
  CHECK(has(refusal(kernel_with([](Words& w) {
              const std::size_t last = find_in(w, Op::Return), add = find_in(w, Op::FAdd);
              const Words use{4u << 16 | static_cast<std::uint32_t>(Op::FNegate), w[add + 1], w[3]++, w[add + 2]};
              w.insert(w.begin() + static_cast<std::ptrdiff_t>(last), use.begin(), use.end());
            })), "may not have been computed"));
}

TEST_CASE("variables that a kernel uses are named by its entry point, and what it has besides by capabilities") {
  using namespace vulkan;
  CHECK(has(refusal(kernel_with([](Words& w) {
              const std::size_t entry = find_in(w, spirv::Op::EntryPoint), length = w[entry] >> 16;
              w[entry] -= 1u << 16;
              w[1] = spirv::version(1, 4);
              w.erase(w.begin() + static_cast<std::ptrdiff_t>(entry + length - 1));
            })), "not in the entry point's interface"));
  CHECK(has(changed(find(21) + 2, 64), "a 64-bit integer without its capability"));
  spirv::Module module(spirv::version(1, 6));
  module.execution_mode(spirv::ExecutionMode::LocalSize, {32, 1, 1});
  module.cooperative_matrix(module.f16(), spirv::Scope::Subgroup, 16, 16, spirv::CooperativeMatrixUse::MatrixA);
  CHECK(has(refusal(module.finish()), "Vulkan memory model"));
}

TEST_CASE("modules with words changed at random are read within their bounds, and few come through") {
  std::mt19937 random(7);
  std::size_t refused = 0;
  constexpr std::size_t rounds = 4000;
  for (std::size_t round = 0; round < rounds; ++round) {
    Words words = axpy;
    for (std::uint32_t change = 0; change < 1 + round % 3; ++change) {
      std::uint32_t& word = words[random() % words.size()];
      switch (random() % 3) {
        case 0: word ^= 1u << random() % 32; break;
        case 1: word = static_cast<std::uint32_t>(random() % 90); break;
        default: word = static_cast<std::uint32_t>(random());
      }
    }
    if (round % 5 == 0) words.resize(random() % words.size());
    const std::string said = message([&] {
      static_cast<void>(vulkan::ModuleInterface::read(words, "main"));
      static_cast<void>(vulkan::detail::ModuleCheck(words));
    });
    if (said != "no error") {
      CHECK(has(said, "invalid_argument"));
      ++refused;
    }
  }
  // What comes through changed a name, a constant, or a literal that may be another one.
  CHECK(refused > rounds * 4 / 5);
}
