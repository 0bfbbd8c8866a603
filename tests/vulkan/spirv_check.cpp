#include "cotenant/vulkan/spirv_check.hpp"

#include "cotenant/vulkan/kernel.hpp"
#include "emitted.hpp"

using namespace cotenant::vulkan;

namespace {
spirv::Words sample() {
  static const Capabilities device = cotenant::test::usual_device();
  KernelBuilder k({device});
  const Buffer x = k.buffer(k.f32());
  const Value i = k.local_index();
  k.when(i < 5u, [&] { x.store(i, x.load(i) + 1.f); });
  return k.finish();
}
// The first word of the first instruction with this opcode.
std::size_t find(const spirv::Words& words, spirv::Op op) {
  for (std::size_t at = 5; at < words.size(); at += words[at] >> 16) if ((words[at] & 0xFFFFu) == static_cast<std::uint32_t>(op)) return at;
  FAIL("no such instruction");
  return 0;
}
bool complains(const spirv::Words& words, const char* of) {
  for (const std::string& complaint : spirv::check_module(words)) if (complaint.find(of) != std::string::npos) return true;
  return false;
}
}  // namespace

TEST_CASE("check_module: what is well-formed passes, what is not is named") {
  const spirv::Words good = sample();
  CHECK(spirv::check_module(good).empty());
  const auto changed = [&](auto change) { auto words = good; change(words); return words; };
  CHECK(complains({}, "magic number"));
  CHECK(complains(changed([](auto& w) { w[0] = 0; }), "magic number"));
  CHECK(complains(changed([](auto& w) { w.pop_back(); w.back() += 7u << 16; }), "end"));
  CHECK(complains(changed([](auto& w) { w[3] = 4; }), "bound"));
  CHECK(complains(changed([](auto& w) { w[find(w, spirv::Op::FAdd)] ^= 0x7000; }), "opcode"));
  CHECK(complains(changed([](auto& w) { w[find(w, spirv::Op::FAdd) + 3] = 9999; }), "defined nowhere"));
  CHECK(complains(changed([](auto& w) { w[find(w, spirv::Op::FAdd) + 1] = w[find(w, spirv::Op::TypeVoid) + 1]; }), "two types"));
  CHECK(complains(changed([](auto& w) { w[find(w, spirv::Op::FAdd) + 2] = w[find(w, spirv::Op::ULessThan) + 2]; }), "twice"));
  // What a branch computed, used behind it.
  CHECK(complains(changed([](auto& w) {
    const std::size_t last = find(w, spirv::Op::Return);
    const spirv::Id type = w[find(w, spirv::Op::FAdd) + 1], value = w[find(w, spirv::Op::FAdd) + 2];
    const std::vector<std::uint32_t> use{4u << 16 | static_cast<std::uint32_t>(spirv::Op::FNegate), type, w[3]++, value};
    w.insert(w.begin() + static_cast<std::ptrdiff_t>(last), use.begin(), use.end());
  }), "may not have been computed"));
  CHECK(complains(changed([](auto& w) {
                    const std::size_t at = find(w, spirv::Op::Return);
                    w.erase(w.begin() + static_cast<std::ptrdiff_t>(at));
                  }),
                  "without an end"));
}

TEST_CASE("check_module: a cooperative matrix needs the Vulkan memory model") {
  spirv::Module module(spirv::version(1, 6));
  module.execution_mode(spirv::ExecutionMode::LocalSize, {32, 1, 1});
  module.cooperative_matrix(module.f16(), spirv::Scope::Subgroup, 16, 16, spirv::CooperativeMatrixUse::MatrixA);
  CHECK(complains(module.finish(), "Vulkan memory model"));
}
