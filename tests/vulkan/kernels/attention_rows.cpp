#include "cotenant/vulkan/kernels/attention_rows.hpp"

#include "../emitted.hpp"
#include "product_code.hpp"

// Their results: tests/backend/vulkan_attention.cpp on a device that has cooperative matrices.
namespace {
using namespace cotenant;
using namespace cotenant::vulkan;
using vulkan::detail::FragmentRows;

TEST_CASE("numbers per row of matrices: a sound module") {
  const Capabilities device = test::paper_device();
  for (const std::uint32_t rows : {16u, 32u}) {
    KernelBuilder k({device}, {.workgroup = 128, .vulkan_memory_model = true});
    const Type sums = k.module().cooperative_matrix(k.f32(), spirv::Scope::Subgroup, 16, 16, spirv::CooperativeMatrixUse::MatrixAccumulator);
    const Shared scratch = k.shared(k.vector(k.u32(), 4), 4 * FragmentRows::size(rows));
    FragmentRows part(k, sums, rows, 32, scratch, k.subgroup_id() * FragmentRows::size(rows));
    std::vector<Variable> matrices;
    for (std::uint32_t i = 0; i < rows / 16; ++i) matrices.push_back(k.variable(spirv::zero_matrix(sums)));
    const Value sum = part.along(matrices, [](Value a, Value b) { return a + b; });
    part.spread({sum, 1.f / sum});
    for (std::uint32_t i = 0; i < rows / 16; ++i) matrices[i].set(matrices[i].get() * part.matrix(0, i) + part.matrix(1, i));
    const spirv::Words words = k.finish();
    test::check_words(words);
    // Each matrix goes out once and comes back as two; two threads of one row exchange what they found.
    const auto count = [&](spirv::Op op) { return test::count_of(words, op); };
    CHECK(count(spirv::Op::CooperativeMatrixStoreKHR) == rows / 16);
    CHECK(count(spirv::Op::CooperativeMatrixLoadKHR) == 2 * (rows / 16));
    CHECK(count(spirv::Op::GroupNonUniformShuffleXor) == (rows == 16 ? 1 : 0));
  }
  CHECK(FragmentRows::size(16) == 80);
}

}  // namespace
