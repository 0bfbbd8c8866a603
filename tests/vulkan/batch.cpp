#include "cotenant/vulkan/batch.hpp"

#include <doctest/doctest.h>

#include "test_device.hpp"

namespace vk = cotenant::vulkan;
using namespace cotenant::test;

namespace {
struct Done final : cotenant::Completion {
  void wait() override {}
};
}  // namespace

TEST_CASE("a batch keeps each block that it uses once, and who reads what it writes waits for it") {
  const Checked gpu;
  const auto stream = gpu->shared_stream();
  const auto read = cotenant::empty<float>({4}, *gpu), written = cotenant::empty<float>({4}, *gpu);
  const auto scratch = vk::temporary(*stream, 16);
  vk::Uses uses;
  vk::Batch batch;
  batch.value = 7;
  batch.completion = cotenant::make_ref<Done>();
  const std::array buffers{vk::whole(read.block(), vk::Access::read), vk::whole(written.block(), vk::Access::write), vk::whole(scratch, vk::Access::write)};
  batch.use(uses, *stream, buffers);
  batch.use(uses, *stream, buffers);
  CHECK(batch.blocks == std::vector<cotenant::Block*>{read.block().get(), written.block().get()});
  CHECK(batch.kept.size() == 2);
  CHECK_FALSE(uses.idle(read.block().get()));
  CHECK_FALSE(uses.idle(written.block().get()));
  uses.done(*stream, 7, batch.blocks);
  CHECK(uses.idle(written.block().get()));
}

TEST_CASE("sets of descriptors come from one pool as long as it has room") {
  const Checked gpu(checked_options(true));
  vk::Driver& driver = gpu->device().driver();
  VkDescriptorSetLayoutBinding binding{};
  binding.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
  binding.descriptorCount = 1;
  binding.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  VkDescriptorSetLayoutCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
  info.bindingCount = 1;
  info.pBindings = &binding;
  VkDescriptorSetLayout layout = VK_NULL_HANDLE;
  REQUIRE(vkCreateDescriptorSetLayout(driver.handle(), &info, nullptr, &layout) == VK_SUCCESS);
  {
    vk::Batch batch;
    for (int i = 0; i < 64; ++i) CHECK(batch.descriptors(driver, layout, 1) != VK_NULL_HANDLE);
    CHECK(batch.held.size() == 1);
    CHECK(batch.descriptors(driver, layout, 1) != VK_NULL_HANDLE);
    CHECK(batch.held.size() == 2);
  }
  vkDestroyDescriptorSetLayout(driver.handle(), layout, nullptr);
}
