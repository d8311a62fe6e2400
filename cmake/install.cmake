# The shared library, and what `make install` and `make deb` put where: libraries, header, pkg-config file, CMake package,
# command, and from its option table the manual page and completions.
include(CMakePackageConfigHelpers)

add_library(revbifpn_shared SHARED $<TARGET_OBJECTS:revbifpn_objects>)
set_target_properties(revbifpn_shared PROPERTIES OUTPUT_NAME revbifpn EXPORT_NAME revbifpn
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cmake/revbifpn.map)
target_include_directories(revbifpn_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_options(revbifpn_shared PRIVATE -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/cmake/revbifpn.map)
if(NOT REVBIFPN_SANITIZE)
  target_link_options(revbifpn_shared PRIVATE -Wl,--no-undefined)
endif()
target_link_libraries(revbifpn_shared PRIVATE revbifpn_flags PkgConfig::JPEG PkgConfig::PNG PkgConfig::WEBP
  PkgConfig::JANSSON PkgConfig::XXHASH GIF::GIF Threads::Threads m)
if(TIFF_FOUND)
  target_link_libraries(revbifpn_shared PRIVATE PkgConfig::TIFF)
endif()
if(EXPAT_FOUND)
  target_link_libraries(revbifpn_shared PRIVATE PkgConfig::EXPAT)
endif()
if(YAML_FOUND)
  target_link_libraries(revbifpn_shared PRIVATE PkgConfig::YAML)
endif()

set(generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${generated})
foreach(kind bash zsh fish man)
  add_custom_command(OUTPUT ${generated}/revbifpn.${kind} DEPENDS revbifpn
    COMMAND revbifpn --generate ${kind} > ${generated}/revbifpn.${kind} VERBATIM)
  list(APPEND generated_files ${generated}/revbifpn.${kind})
endforeach()
add_custom_target(revbifpn_generated ALL DEPENDS ${generated_files})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/revbifpn)
file(RELATIVE_PATH REVBIFPN_PC_UP /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/revbifpn.pc.in ${generated}/revbifpn.pc @ONLY)
write_basic_package_version_file(${generated}/revbifpn-config-version.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS revbifpn_shared EXPORT revbifpn LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT revbifpn NAMESPACE revbifpn:: FILE revbifpn-targets.cmake DESTINATION ${package})
install(TARGETS revbifpn_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS revbifpn RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES include/revbifpn.h include/revbifpn_train.h include/revbifpn_data.h include/revbifpn_detect.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
configure_file(cmake/revbifpn-config.cmake ${generated}/revbifpn-config.cmake @ONLY)
install(FILES ${generated}/revbifpn.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${generated}/revbifpn-config.cmake ${generated}/revbifpn-config-version.cmake DESTINATION ${package})
install(FILES ${generated}/revbifpn.man DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 RENAME revbifpn.1)
install(FILES ${generated}/revbifpn.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME revbifpn)
install(FILES ${generated}/revbifpn.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _revbifpn)
install(FILES ${generated}/revbifpn.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Who makes a package answers for it: the author of the commit, or the machine's administrator.
execute_process(COMMAND git -C ${CMAKE_CURRENT_SOURCE_DIR} log -1 "--format=%an <%ae>" OUTPUT_VARIABLE author
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT author)
  cmake_host_system_information(RESULT host QUERY FQDN)
  set(author "The revbifpn authors <root@${host}>")
endif()
set(REVBIFPN_MAINTAINER "${author}" CACHE STRING "NAME <ADDRESS> of the package's maintainer")
execute_process(COMMAND git -C ${CMAKE_CURRENT_SOURCE_DIR} log -1 --format=%aD OUTPUT_VARIABLE REVBIFPN_DATE
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT REVBIFPN_DATE)
  execute_process(COMMAND date -R OUTPUT_VARIABLE REVBIFPN_DATE OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
configure_file(cmake/debian/finish.cmake.in ${generated}/finish.cmake @ONLY)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME revbifpn)
set(CPACK_PACKAGE_CONTACT "${REVBIFPN_MAINTAINER}")
set(CPACK_PRE_BUILD_SCRIPTS ${generated}/finish.cmake)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
  WORLD_EXECUTE)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "train and run RevBiFPN, the reversible feature pyramid network")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "RevBiFPN is an image classifier whose training memory does not grow with its
depth. This package has the command revbifpn, the library, shared and static,
and its header; programs need no Python.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_SOURCE_DIR}/cmake/debian/triggers)
# The static library alone needs them (pkg-config --static).
set(CPACK_DEBIAN_PACKAGE_SUGGESTS
  "libjpeg62-turbo-dev, libpng-dev, libwebp-dev, libgif-dev, libtiff-dev, libexpat1-dev, libyaml-dev, libjansson-dev, libxxhash-dev, bash-completion")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
include(CPack)
