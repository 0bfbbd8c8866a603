#include "cotenant/vulkan/kernels/attention_lines.hpp"

#include <array>
#include <cstring>
#include <vector>

#include "../test_device.hpp"

// Blocks that reach beyond an operand, through shared memory and back.
namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

// The block of 24 positions and 32 elements, from position 4 and element 8 on, of `extent` x `full` numbers of 16 bits.
std::vector<std::uint32_t> block(const Vulkan& gpu, bool vectors, std::uint32_t extent, std::uint32_t full, std::uint32_t stride, std::uint32_t step) {
  std::vector<std::uint16_t> numbers(4096);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::uint16_t>(i + 1);
  std::vector<float> bits(numbers.size() / 2);
  std::memcpy(bits.data(), numbers.data(), numbers.size() * 2);
  const auto in = test::to_device(gpu, bits), out = empty<float>({24, 16}, gpu);
  const std::array<BufferArgument, 2> buffers{BufferArgument{in.block().get(), in.unchecked_view().data(), in.bytes(), Access::read},
                                              BufferArgument{out.block().get(), out.unchecked_view().data(), out.bytes(), Access::write}};
  const std::array<std::uint32_t, 4> scalars{extent, full, stride, step};
  gpu.device().launch(*gpu.shared_stream(), {vectors ? "test: lines, vectors" : "test: lines", buffers, scalars}, [&](const Target& target) {
    KernelBuilder k(target, {.workgroup = 64});
    OperandCode x;
    x.elements = Elements(k, DType::f16), x.type = DType::f16;
    const Buffer y = k.buffer(k.vector(k.u32(), 4));
    const Value positions = k.scalar(), elements = k.scalar(), apart = k.scalar(), between = k.scalar();
    x.base = k.constant(0u);
    const Shared shared = k.shared(k.vector(k.u32(), 4), vulkan::detail::AttentionLines::size(24, 32));
    vulkan::detail::AttentionLines lines(k, x, vectors, 24, 32, apart, between, positions, elements, k.constant(8u));
    lines.fetch(k.constant(4u));
    lines.put(shared, k.constant(0u));
    k.barrier();
    k.loop(k.local_index(), 24u * 4u, 64u, [&](Value i) { y.store(i, shared.load(i / 4u * vulkan::detail::AttentionLines::line_length(32) + i % 4u)); });
    return k.finish();
  });
  const std::vector<float> got = test::to_host(out);
  std::vector<std::uint32_t> words(got.size());
  std::memcpy(words.data(), got.data(), got.size() * 4);
  return words;
}

TEST_CASE("lines of an operand: what lies outside is 0") {
  const test::Checked gpu;
  for (const bool vectors : {true, false})
    for (const auto& [extent, full] : {std::pair<std::uint32_t, std::uint32_t>{100, 64}, {20, 24}, {4, 40}, {28, 8}}) {
      const std::uint32_t stride = vectors ? full : 3 + full * 2, step = vectors ? 1 : 2;
      const auto words = block(*gpu, vectors, extent, full, stride, step);
      for (std::uint32_t line = 0; line < 24; ++line)
        for (std::uint32_t e = 0; e < 32; ++e) {
          const bool inside = line + 4 < extent && e + 8 < full;
          const std::uint32_t expected = inside ? (line + 4) * stride + (e + 8) * step + 1 : 0;
          REQUIRE((words[line * 16 + e / 2] >> e % 2 * 16 & 0xFFFF) == (expected & 0xFFFF));
        }
    }
}

}  // namespace
